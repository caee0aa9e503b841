-- TPC-H's tables, with few rows and with NULLs in every column outside of the primary key, and its 22 queries as views. The key of a view is
-- what it groups by. A query without GROUP BY has the primary keys of its tables or a constant as its key. LIMIT and ORDER BY are left out.
CREATE TABLE region (r_regionkey int PRIMARY KEY, r_name text);
CREATE TABLE nation (n_nationkey int PRIMARY KEY, n_name text, n_regionkey int);
CREATE TABLE supplier (s_suppkey int PRIMARY KEY, s_name text, s_nationkey int, s_acctbal numeric, s_comment text);
CREATE TABLE part (p_partkey int PRIMARY KEY, p_name text, p_mfgr text, p_brand text, p_type text, p_size int, p_container text);
CREATE TABLE partsupp (ps_partkey int, ps_suppkey int, ps_availqty int, ps_supplycost numeric, PRIMARY KEY (ps_partkey, ps_suppkey));
CREATE TABLE customer (c_custkey int PRIMARY KEY, c_name text, c_nationkey int, c_phone text, c_acctbal numeric, c_mktsegment text);
CREATE TABLE orders (o_orderkey int PRIMARY KEY, o_custkey int, o_orderstatus text, o_totalprice numeric, o_orderdate date, o_orderpriority text, o_shippriority int, o_comment text);
CREATE TABLE lineitem (l_orderkey int, l_linenumber int, l_partkey int, l_suppkey int, l_quantity numeric, l_extendedprice numeric, l_discount numeric, l_tax numeric,
    l_returnflag text, l_linestatus text, l_shipdate date, l_commitdate date, l_receiptdate date, l_shipmode text, l_shipinstruct text, PRIMARY KEY (l_orderkey, l_linenumber));

INSERT INTO domain SELECT c, '{1,2,3}' FROM unnest('{r_regionkey,n_nationkey,n_regionkey,s_suppkey,s_nationkey,p_partkey,ps_partkey,ps_suppkey,c_custkey,c_nationkey,o_custkey,o_orderkey,l_orderkey,l_linenumber,l_partkey,l_suppkey}'::name[]) c;
INSERT INTO domain VALUES
('r_name', '{EUROPE,ASIA,AMERICA}'), ('n_name', '{FRANCE,GERMANY,GERMANY,BRAZIL,CANADA}'), ('s_acctbal', '{1,2.0,-1}'), ('s_name', '{S1,S2,S3}'),
('s_comment', '{Customer Complaints,fine}'), ('p_name', '{forest green,green,red}'), ('p_mfgr', '{M1,M2}'), ('p_brand', '{Brand#12,Brand#23,Brand#23,Brand#45}'),
('p_type', '{LARGE BRASS,PROMO STEEL,ECONOMY ANODIZED STEEL,ECONOMY ANODIZED STEEL,MEDIUM POLISHED BRASS}'), ('p_size', '{5,15,15}'), ('p_container', '{SM CASE,MED BOX,MED BOX}'),
('c_name', '{C1,C2}'), ('c_phone', '{13-1,13-2,31-1,44-9}'), ('c_acctbal', '{-1,0,1,5}'), ('c_mktsegment', '{BUILDING,MACHINERY}'),
('o_orderstatus', '{F,O}'), ('o_totalprice', '{10,20}'), ('o_orderdate', '{1993-08-01,1994-02-01,1995-03-01,1996-04-01}'), ('o_orderpriority', '{1-URGENT,2-HIGH,5-LOW}'),
('o_shippriority', '{0,1}'), ('o_comment', '{special packages requests,plain}'), ('l_quantity', '{1,5,15,30}'), ('l_extendedprice', '{10,20.5}'),
('l_discount', '{0.05,0.06,0.1}'), ('l_tax', '{0,0.1}'), ('l_returnflag', '{R,A}'), ('l_linestatus', '{O,F}'),
('l_shipdate', '{1994-02-10,1994-06-01,1995-04-01,1995-09-10,1996-02-01}'), ('l_commitdate', '{1994-03-01,1995-04-10}'), ('l_receiptdate', '{1994-04-01,1995-05-01}'),
('l_shipmode', '{MAIL,SHIP,AIR}'), ('l_shipinstruct', '{DELIVER IN PERSON,NONE}');

INSERT INTO definition (name, key, query) VALUES
('tpch_01', '{l_returnflag,l_linestatus}', $$select l_returnflag, l_linestatus, sum(l_quantity) q, sum(l_extendedprice) p, sum(l_extendedprice * (1 - l_discount)) d, sum(l_extendedprice * (1 - l_discount) * (1 + l_tax)) c,
    avg(l_quantity) a, count(*) n from lineitem where l_shipdate <= date '1995-12-01' - interval '90 day' group by l_returnflag, l_linestatus$$),
('tpch_02', '{p_partkey,s_suppkey}', $$select s_acctbal, s_name, n_name, p_partkey, s_suppkey, p_mfgr from part, supplier, partsupp, nation, region
    where p_partkey = ps_partkey and s_suppkey = ps_suppkey and p_size = 15 and p_type like '%BRASS' and s_nationkey = n_nationkey and n_regionkey = r_regionkey and r_name = 'EUROPE'
    and ps_supplycost = (select min(ps_supplycost) from partsupp, supplier, nation, region where p_partkey = ps_partkey and s_suppkey = ps_suppkey and s_nationkey = n_nationkey
    and n_regionkey = r_regionkey and r_name = 'EUROPE')$$),
('tpch_03', '{l_orderkey,o_orderdate,o_shippriority}', $$select l_orderkey, sum(l_extendedprice * (1 - l_discount)) revenue, o_orderdate, o_shippriority from customer, orders, lineitem
    where c_mktsegment = 'BUILDING' and c_custkey = o_custkey and l_orderkey = o_orderkey and o_orderdate < date '1995-03-15' and l_shipdate > date '1994-03-15'
    group by l_orderkey, o_orderdate, o_shippriority$$),
('tpch_04', '{o_orderpriority}', $$select o_orderpriority, count(*) order_count from orders where o_orderdate >= date '1993-07-01' and o_orderdate < date '1994-07-01' + interval '3 month'
    and exists (select * from lineitem where l_orderkey = o_orderkey and l_commitdate < l_receiptdate) group by o_orderpriority$$),
('tpch_05', '{n_name}', $$select n_name, sum(l_extendedprice * (1 - l_discount)) revenue from customer, orders, lineitem, supplier, nation, region
    where c_custkey = o_custkey and l_orderkey = o_orderkey and l_suppkey = s_suppkey and c_nationkey = s_nationkey and s_nationkey = n_nationkey and n_regionkey = r_regionkey
    and r_name = 'ASIA' and o_orderdate >= date '1994-01-01' group by n_name$$),
('tpch_06', '{one}', $$select 1 as one, sum(l_extendedprice * l_discount) revenue from lineitem where l_shipdate >= date '1994-01-01' and l_shipdate < date '1995-01-01' and l_discount between 0.05 and 0.07 and l_quantity < 24$$),
('tpch_07', '{supp_nation,cust_nation,l_year}', $$select supp_nation, cust_nation, l_year, sum(volume) revenue from (
    select n1.n_name as supp_nation, n2.n_name as cust_nation, extract(year from l_shipdate) as l_year, l_extendedprice * (1 - l_discount) as volume
    from supplier, lineitem, orders, customer, nation n1, nation n2 where s_suppkey = l_suppkey and o_orderkey = l_orderkey and c_custkey = o_custkey and s_nationkey = n1.n_nationkey
    and c_nationkey = n2.n_nationkey and ((n1.n_name = 'FRANCE' and n2.n_name = 'GERMANY') or (n1.n_name = 'GERMANY' and n2.n_name = 'FRANCE'))) shipping
    group by supp_nation, cust_nation, l_year$$),
('tpch_08', '{o_year}', $$select o_year, sum(case when nation = 'BRAZIL' then volume else 0 end) / nullif(sum(volume), 0) mkt_share from (
    select extract(year from o_orderdate) as o_year, l_extendedprice * (1 - l_discount) as volume, n2.n_name as nation
    from part, supplier, lineitem, orders, customer, nation n1, nation n2, region where p_partkey = l_partkey and s_suppkey = l_suppkey and l_orderkey = o_orderkey and o_custkey = c_custkey
    and c_nationkey = n1.n_nationkey and n1.n_regionkey = r_regionkey and r_name = 'AMERICA' and s_nationkey = n2.n_nationkey and p_type = 'ECONOMY ANODIZED STEEL') all_nations group by o_year$$),
('tpch_09', '{nation,o_year}', $$select nation, o_year, sum(amount) sum_profit from (
    select n_name as nation, extract(year from o_orderdate) as o_year, l_extendedprice * (1 - l_discount) - ps_supplycost * l_quantity as amount
    from part, supplier, lineitem, partsupp, orders, nation where s_suppkey = l_suppkey and ps_suppkey = l_suppkey and ps_partkey = l_partkey and p_partkey = l_partkey and o_orderkey = l_orderkey
    and s_nationkey = n_nationkey and p_name like '%green%') profit group by nation, o_year$$),
('tpch_10', '{c_custkey}', $$select c_custkey, c_name, sum(l_extendedprice * (1 - l_discount)) revenue, c_acctbal, n_name, c_phone from customer, orders, lineitem, nation
    where c_custkey = o_custkey and l_orderkey = o_orderkey and o_orderdate >= date '1993-07-01' and l_returnflag = 'R' and c_nationkey = n_nationkey
    group by c_custkey, c_name, c_acctbal, c_phone, n_name$$),
('tpch_11', '{ps_partkey}', $$select ps_partkey, sum(ps_supplycost * ps_availqty) as value from partsupp, supplier, nation where ps_suppkey = s_suppkey and s_nationkey = n_nationkey and n_name = 'GERMANY'
    group by ps_partkey having sum(ps_supplycost * ps_availqty) > (select sum(ps_supplycost * ps_availqty) * 0.5 from partsupp, supplier, nation
    where ps_suppkey = s_suppkey and s_nationkey = n_nationkey and n_name = 'GERMANY')$$),
('tpch_12', '{l_shipmode}', $$select l_shipmode, sum(case when o_orderpriority = '1-URGENT' or o_orderpriority = '2-HIGH' then 1 else 0 end) high, sum(case when o_orderpriority <> '1-URGENT' and o_orderpriority <> '2-HIGH' then 1 else 0 end) low
    from orders, lineitem where o_orderkey = l_orderkey and l_shipmode in ('MAIL', 'SHIP') and l_commitdate < l_receiptdate and l_shipdate < l_commitdate and l_receiptdate >= date '1994-01-01' group by l_shipmode$$),
('tpch_13', '{c_count}', $$select c_count, count(*) custdist from (select c_custkey, count(o_orderkey) from customer left outer join orders on c_custkey = o_custkey and o_comment not like '%special%requests%'
    group by c_custkey) as c_orders (c_custkey, c_count) group by c_count$$),
('tpch_14', '{one}', $$select 1 as one, 100.00 * sum(case when p_type like 'PROMO%' then l_extendedprice * (1 - l_discount) else 0 end) / nullif(sum(l_extendedprice * (1 - l_discount)), 0) promo_revenue
    from lineitem, part where l_partkey = p_partkey and l_shipdate >= date '1995-09-01' and l_shipdate < date '1995-09-01' + interval '1 month'$$),
('tpch_15', '{s_suppkey}', $$with revenue (supplier_no, total_revenue) as (select l_suppkey, sum(l_extendedprice * (1 - l_discount)) from lineitem where l_shipdate >= date '1994-01-01' group by l_suppkey)
    select s_suppkey, s_name, total_revenue from supplier, revenue where s_suppkey = supplier_no and total_revenue = (select max(total_revenue) from revenue)$$),
('tpch_16', '{p_brand,p_type,p_size}', $$select p_brand, p_type, p_size, count(distinct ps_suppkey) supplier_cnt from partsupp, part where p_partkey = ps_partkey and p_brand <> 'Brand#45' and p_type not like 'MEDIUM POLISHED%'
    and p_size in (49, 14, 23, 45, 15) and ps_suppkey not in (select s_suppkey from supplier where s_comment like '%Customer%Complaints%') group by p_brand, p_type, p_size$$),
('tpch_17', '{one}', $$select 1 as one, sum(l_extendedprice) / 7.0 avg_yearly from lineitem, part where p_partkey = l_partkey and p_brand = 'Brand#23' and p_container = 'MED BOX'
    and l_quantity < (select 0.8 * avg(l_quantity) from lineitem where l_partkey = p_partkey)$$),
('tpch_18', '{c_custkey,o_orderkey}', $$select c_name, c_custkey, o_orderkey, o_orderdate, o_totalprice, sum(l_quantity) q from customer, orders, lineitem
    where o_orderkey in (select l_orderkey from lineitem group by l_orderkey having sum(l_quantity) > 10) and c_custkey = o_custkey and o_orderkey = l_orderkey
    group by c_name, c_custkey, o_orderkey, o_orderdate, o_totalprice$$),
('tpch_19', '{one}', $$select 1 as one, sum(l_extendedprice * (1 - l_discount)) revenue from lineitem, part where
    (p_partkey = l_partkey and p_brand = 'Brand#12' and p_container in ('SM CASE', 'SM BOX') and l_quantity between 1 and 11 and p_size between 1 and 5 and l_shipmode in ('AIR', 'AIR REG') and l_shipinstruct = 'DELIVER IN PERSON')
    or (p_partkey = l_partkey and p_brand = 'Brand#23' and p_container in ('MED BAG', 'MED BOX') and l_quantity between 5 and 20 and p_size between 1 and 10 and l_shipmode in ('AIR', 'AIR REG'))$$),
('tpch_20', '{s_suppkey}', $$select s_suppkey, s_name from supplier, nation where s_suppkey in (select ps_suppkey from partsupp where ps_partkey in (select p_partkey from part where p_name like 'forest%')
    and ps_availqty > (select 0.1 * sum(l_quantity) from lineitem where l_partkey = ps_partkey and l_suppkey = ps_suppkey and l_shipdate >= date '1994-01-01')) and s_nationkey = n_nationkey and n_name = 'CANADA'$$),
('tpch_21', '{s_name}', $$select s_name, count(*) numwait from supplier, lineitem l1, orders, nation where s_suppkey = l1.l_suppkey and o_orderkey = l1.l_orderkey and o_orderstatus = 'F' and l1.l_receiptdate > l1.l_commitdate
    and exists (select * from lineitem l2 where l2.l_orderkey = l1.l_orderkey and l2.l_suppkey <> l1.l_suppkey)
    and not exists (select * from lineitem l3 where l3.l_orderkey = l1.l_orderkey and l3.l_suppkey <> l1.l_suppkey and l3.l_receiptdate > l3.l_commitdate)
    and s_nationkey = n_nationkey and n_name in ('GERMANY', 'FRANCE') group by s_name$$),
('tpch_22', '{cntrycode}', $$select cntrycode, count(*) numcust, sum(c_acctbal) totacctbal from (select substring(c_phone from 1 for 2) as cntrycode, c_acctbal from customer
    where substring(c_phone from 1 for 2) in ('13', '31', '23') and c_acctbal > (select avg(c_acctbal) from customer where c_acctbal > 0.00 and substring(c_phone from 1 for 2) in ('13', '31', '23'))
    and not exists (select * from orders where o_custkey = c_custkey)) as custsale group by cntrycode$$);
