// Overview: what does a network hold?
// Nodes by label, relationships by type with the days they speak of, and records by source.
// Caution: a node has several labels, so the counts of labels do not add up. A period in which nothing stands is not a zero.
//
// :param network_id => "bundled-firms"  id of the network in the database
CALL () {
  MATCH (n:Chiptrail {network_id: $network_id})
  UNWIND labels(n) AS label
  RETURN 'node' AS what, label AS name, count(*) AS n, null AS first_date, null AS last_date
  UNION ALL
  MATCH (:Chiptrail)-[r {network_id: $network_id}]->(:Chiptrail)
  RETURN 'relationship' AS what, type(r) AS name, count(*) AS n, min(coalesce(r.period_start, r.first_date, r.listed_from)) AS first_date,
         max(coalesce(r.period_end, r.last_date, r.listed_from)) AS last_date
  UNION ALL
  MATCH (:Chiptrail)-[r {network_id: $network_id}]->(:Chiptrail)
  WHERE r.source_id IS NOT NULL
  WITH r.source_id AS source_id, count(r) AS n, min(coalesce(r.period_start, r.listed_from)) AS first_date,
       max(coalesce(r.period_end, r.listed_from)) AS last_date
  MATCH (source:Chiptrail:Source {network_id: $network_id, source_id: source_id})
  RETURN 'source' AS what, source.title AS name, n, first_date, last_date
}
RETURN what, name, n, first_date, last_date
ORDER BY what, n DESC, name
