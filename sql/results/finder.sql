-- results.finder: for each pipeline, how many of its algorithms find objects (detect, localize or segment), and one of them.
CREATE OR REPLACE VIEW results.finder AS
SELECT p.id AS pipeline_id, p.slug, count(a.id) AS finders, min(a.id) AS algorithm_id
FROM results.pipeline p
LEFT JOIN (results.pipeline_algorithm pa
           JOIN results.algorithm a ON a.id = pa.algorithm_id
                                   AND lower(a.task_type) IN ('detection', 'localization', 'segmentation'))
       ON pa.pipeline_id = p.id
GROUP BY p.id;
COMMENT ON VIEW results.finder IS 'the algorithm of each pipeline that finds; messages need exactly one';
