// Who trades with a listed firm, and did the listing come before, in or after the time of the trade?
// One row per trade and listing of one of its two sides.
// Caution: lists are incomplete and hold what a source stated: no listing found never means unlisted. A trade with a listed firm
// may be lawful, above all before the listing. A lead, not a finding.
//
// :param network_id => "bundled-firms"  id of the network in the database
// :param since => null  first day, as 2022-01-01, or null
// :param until => null  last day, as 2022-12-31, or null
// :param limit => 100  most rows
MATCH (listed:Chiptrail {network_id: $network_id})-[entry:LISTED_ON {network_id: $network_id}]->(list:Chiptrail:WatchList)
MATCH (listed)-[r:TRADED {network_id: $network_id}]-(other:Chiptrail)
WHERE r.left_aside IS NULL
  AND ($since IS NULL OR r.period_start >= date($since))
  AND ($until IS NULL OR r.period_end <= date($until))
WITH *, CASE
    WHEN entry.listed_to < r.period_start THEN 'listing ended before the trade'
    WHEN entry.listed_from < r.period_start THEN 'listed before the trade'
    WHEN entry.listed_from > r.period_end THEN 'listed after the trade'
    WHEN entry.listed_from >= r.period_start AND entry.listed_from <= r.period_end THEN 'listed in the time of the trade'
    ELSE 'not known' END AS timing
ORDER BY listed.name, list.name, entry.key, r.period_end, r.record_ref, r.key
LIMIT toInteger($limit)
OPTIONAL MATCH (source:Chiptrail:Source {network_id: $network_id, source_id: r.source_id})
RETURN listed.name AS listed, listed.actor_id AS listed_id, list.name AS list_name, entry.listed_from AS listed_from,
       entry.listed_to AS listed_to, timing, CASE WHEN startNode(r) = listed THEN 'sells to' ELSE 'buys from' END AS side,
       other.name AS other, other.actor_id AS other_id, other.country AS other_country, r.goods AS goods,
       coalesce(r.hs_code, r.product_set) AS products, r.period_start AS first_date, r.period_end AS last_date,
       r.value_usd AS value_usd, r.concept AS concept, r.basis AS basis, entry.citation AS citation,
       r.record_ref AS record_ref, source.title AS source, source.url AS url, [listed, entry, list, r, other] AS graph
