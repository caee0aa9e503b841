// Activity: alerts, merges at work, instances, what the clock fires, delta tables, slow statements, transactions that hold things up, who did what.

import * as api from './api.js';
import { h } from './dom.js';
import { first, held } from './now.js';
import { ago, bytes, clock, count, plural, seconds } from './text.js';

export async function load(route) {
    const [activity, transactions, alerts, audit] = await Promise.all([api.activity(), api.transactions(), api.alerts(), api.audit(route.query.get('acts'))]);
    return { ...activity, transactions: transactions.items, alerts, audit };
}

const view = name => h('a', { href: `#/view/${encodeURIComponent(name)}` }, name);

export function render(route, data, { choose, again }) {
    return [
        h('h1', {}, 'Activity'),
        part('alerts', 'Alerts', data.alerts, () => first(data.alerts, (some, rest) => table(rest ? null : 'alerts', ['Alert', 'State', 'Since', 'What is wrong', 'What to do', 'Webhook'],
            some.map(a => [a.id, a.rule, a.state === 'firing' ? h('span', { class: `state ${a.level}` }, 'firing') : `over, after ${seconds((new Date(a.resolved_at) - new Date(a.since)) / 1000)}`,
                ago(a.since), a.sentence, a.remedy, a.told ? `told: ${a.told}` : 'not told']))), 'There was none.'),
        part('transactions', 'Transactions that hold things up', data.transactions, () => held(data.transactions, again), 'None is older than 5 s, and nobody waits for one.'),
        part('merges', 'Merges at work', data.merges, () => table('merges', ['View', 'Session', 'Statement begun', 'Program', 'Waits for'],
            data.merges.map(m => [`${m.view} ${m.pid}`, view(m.view), m.pid, ago(m.since), m.program,
                m.waits ? `${m.waits} of ${m.blockers.length === 1 ? 'session' : 'sessions'} ${m.blockers.join(', ')}` : 'nothing'])), 'None at this moment.'),
        part('instances', 'Instances', data.instances, () => table('instances', ['Instance', 'Checked in', 'Jobs by the clock', 'Runs'],
            data.instances.map(i => [i.name, i.name, i.overdue ? bad(`${seconds(i.silent)} ago, too long`) : ago(i.checked_in_at), count(i.jobs), count(i.runs)])), 'None has checked in yet.'),
        part('threads', `Threads of ${data.threads[0]?.instance ?? 'this instance'}, which shows this page`, data.threads, () => table('threads', ['Pool', 'At work', 'Does'],
            data.threads.map(p => [p.pool, p.pool, [p.busy === p.threads ? h('span', { class: 'state warn' }, `all ${p.threads}`) : `${count(p.busy)} of ${p.threads}`, p.waiting ? `; ${plural(p.waiting, 'view')} waiting` : ''], DOES[p.pool] ?? ''])), 'There are none.'),
        part('triggers', 'What the clock fires', data.triggers, () => first(data.triggers, (some, rest) => table(rest ? null : 'triggers', ['Trigger', 'State', 'Next', 'Last'],
            some.map(t => [`${t.view ?? ''} ${t.name}`, t.view ? view(t.view) : t.name, t.state === 'error' ? bad('error') : t.late > 10 ? bad(`${t.state}, ${seconds(t.late)} late`) : t.state,
                day(t.next_fire_at), t.previous_fire_at ? ago(t.previous_fire_at) : 'never']))), 'Nothing has a cron.'),
        part('deltas', 'Delta tables, the largest first', data.deltas, () => first(data.deltas, (some, rest) => table(rest ? null : 'deltas', ['View', 'Size', 'Rows, about', 'Dead rows, about', 'Vacuumed', 'Stored rows take'],
            some.map(d => [d.view, view(d.view), bytes(d.delta_bytes), count(d.live_rows), count(d.dead_rows), ago(d.vacuumed_at), bytes(d.stored_bytes)]))), 'There are no derived views yet.'),
        part('statements', 'Slow statements', data.statements, () => table('statements', ['Statement', 'Role', 'Calls', 'On average', 'In all'],
            data.statements.map((s, n) => [`${s.role} ${s.statement ?? n}`, h('code', {}, s.statement ?? 'hidden'), s.role, count(s.calls), seconds(s.mean_ms / 1000), seconds(s.total_ms / 1000)])),
            'pg_stat_statements is not installed in this database, or this role may not read it.'),
        part('audit', 'Who did what', data.audit.items, () => [table('audit', ['When', 'Who', 'From', 'Request', 'Of', 'Answer', 'Runs'],
            data.audit.items.map(a => [a.id, day(a.at), a.role === '-' ? 'nobody known' : `${a.who} (${a.role})`, a.address, h('code', {}, `${a.method} ${a.path}`), a.target ?? '',
                a.status === null ? 'none' : a.status >= 400 ? h('span', { class: 'state warn' }, a.status) : a.status, a.runs.join(', ')])), pages(route, data.audit, choose)], 'Nobody has done anything yet.'),
    ];
}

function pages(route, page, choose) {
    const after = new URLSearchParams((page.next ?? '').split('?')[1]).get('after');
    return h('div', { class: 'buttons', 'data-key': 'pages' },
        route.query.get('acts') ? h('button', { type: 'button', onclick: () => choose('acts', '') }, 'Newest') : null,
        after ? h('button', { type: 'button', id: 'older-acts', onclick: () => choose('acts', after) }, 'Older') : null);
}

const DOES = { merges: 'merges views by their intervals', runs: 'carries out requested runs', schedules: 'fires what has a cron' };

const bad = text => h('span', { class: 'state bad' }, text);
const day = time => time ? `${new Date(time).toLocaleDateString('en-GB')} ${clock(time)}` : '–';

function part(key, title, rows, draw, none) {
    return h('section', { 'data-key': key }, h('h2', {}, rows.length > 1 && key !== 'threads' ? `${title}: ${plural(rows.length, 'row')}` : title), rows.length ? draw() : h('p', { class: 'note' }, none));
}

const NUMBERS = new Set(['Size', 'Rows, about', 'Dead rows, about', 'Stored rows take', 'Calls', 'On average', 'In all']);

/** Each row begins with its key. */
function table(id, heads, rows) {
    const number = text => NUMBERS.has(text) ? 'number' : null;
    return h('table', { class: 'cards', id },
        h('thead', {}, h('tr', {}, heads.map(t => h('th', { scope: 'col', class: number(t) }, t)))),
        h('tbody', {}, rows.map(([key, first, ...rest]) => h('tr', { 'data-key': key }, h('th', { scope: 'row' }, first),
            rest.map((cell, i) => h('td', { 'data-label': heads[i + 1], class: number(heads[i + 1]) }, cell))))));
}
