-- BigQuery's. {table} is a name of our own alphabet: BigQuery takes no parameters for names.

-- name: newest_rows
SELECT * EXCEPT (_mirsal_newest)
FROM (
    SELECT *, ROW_NUMBER() OVER (
        PARTITION BY _mirsal_row_key ORDER BY _mirsal_written_at DESC
    ) AS _mirsal_newest
    FROM `{table}`
)
WHERE _mirsal_newest = 1

-- name: find_rows
SELECT _mirsal_row_key AS row_key, ANY_VALUE(_mirsal_values) AS row_values
FROM `{table}`
WHERE _mirsal_row_key IN UNNEST(@keys)
GROUP BY _mirsal_row_key
