-- Where only the highest scores or logits of a classification are stored: which classes they are of.
ALTER TABLE results.classification ADD COLUMN score_classes int4[], ADD COLUMN logit_classes int4[];
ALTER TABLE results.classification ALTER score_classes SET STORAGE EXTERNAL, ALTER logit_classes SET STORAGE EXTERNAL;
COMMENT ON COLUMN results.classification.score_classes IS
    'the class of each score, counted from 0; NULL: scores has all classes, in the order of the classifier';
COMMENT ON COLUMN results.classification.logit_classes IS
    'the class of each logit, counted from 0; NULL: logits has all classes, in the order of the classifier';
