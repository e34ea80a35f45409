// Newcomers: which firms are first seen in trade on or after a day?
// A firm is seen from the first day of its earliest record on. `certain` is false if a record without a start may be earlier.
// `dispatched_usd` adds known values of what was dispatched. The same goods told by customs origin are no part of it.
// Caution: first seen in these records is not founded: a firm may have traded before where no source looked. A lead, not a finding.
//
// :param network_id => "bundled-firms"  id of the network in the database
// :param after => "2022-02-24"  day from which a firm counts as new
// :param limit => 100  most rows
MATCH (firm:Chiptrail:Company {network_id: $network_id})-[r:TRADED {network_id: $network_id}]-(other:Chiptrail)
WITH firm, min(coalesce(r.period_start, r.period_end)) AS first_seen, max(r.period_end) AS last_seen,
     count(r) = count(r.period_start) AS certain, count(r) AS n_records,
     collect(CASE WHEN r.left_aside IS NULL AND r.concept = 'dispatched' THEN r.value_usd END) AS known, collect(r) AS trades,
     collect(DISTINCT other) AS others
WHERE first_seen >= date($after)
ORDER BY first_seen, firm.name, firm.actor_id
LIMIT toInteger($limit)
RETURN firm.name AS firm, firm.actor_id AS actor_id, firm.country AS country, firm.role AS role, first_seen, certain, last_seen, n_records,
       CASE WHEN size(known) > 0 THEN reduce(usd = 0.0, v IN known | usd + v) END AS dispatched_usd,
       size(others) AS n_others, [other IN others | other.name] AS others, [firm] + others + trades AS graph
