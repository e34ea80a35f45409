// Hubs: through whom may goods have gone from the origins to the destinations in a period?
// What each hub received from the origins and sent to the destinations, each flow counted once.
// Caution: throughput_max_usd, the smaller of the two heading by heading, is an upper bound and no estimate. A lead, not a finding.
// Caution: no row is not a zero, and this query does not look at coverage. `chiptrail hubs` does, and ranks what it covers alone.
//
// :param network_id => "bundled-firms"  id of the network in the database
// :param origins => ["USA"]  where the goods come from: codes of countries, or names or ids of actors
// :param destinations => ["RUS"]  where they go: codes of countries, or names or ids of actors
// :param concept => null  what the first leg may be: "dispatched" or "origin", null as chiptrail chooses
// :param products => []  HS codes or their first digits, none for all goods
// :param since => null  first day, as 2022-01-01, or null
// :param until => null  last day, as 2022-12-31, or null
// :param limit => 100  most rows
MATCH (network:Chiptrail:Network {network_id: $network_id})
WITH network.level AS level, coalesce($concept, CASE network.level WHEN 'countries' THEN 'origin' ELSE 'dispatched' END) AS concept
MATCH (n:Chiptrail {network_id: $network_id})
WHERE n.actor_id IS NOT NULL
WITH level, concept,
     collect(CASE WHEN n.actor_id IN $origins OR n.name IN $origins OR n.country IN $origins THEN n.actor_id END) AS origins,
     collect(CASE WHEN n.actor_id IN $destinations OR n.name IN $destinations OR n.country IN $destinations THEN n.actor_id END)
     AS destinations
MATCH (seller:Chiptrail)-[r:TRADED {network_id: $network_id}]->(buyer:Chiptrail)
WHERE r.left_aside IS NULL
  AND ($since IS NULL OR r.period_start >= date($since))
  AND ($until IS NULL OR r.period_end <= date($until))
WITH *, coalesce(r.hs_code, r.product_set, '') AS code
WHERE size($products) = 0 OR all(part IN split(code, '+') WHERE any(prefix IN $products WHERE part STARTS WITH prefix))
WITH *, CASE
    WHEN (seller.actor_id IN origins AND r.concept = concept OR level = 'firms' AND concept = 'origin' AND r.origin_country IN $origins)
      AND NOT buyer.actor_id IN origins AND NOT buyer.actor_id IN destinations THEN 'in'
    WHEN buyer.actor_id IN destinations AND r.concept = 'dispatched'
      AND NOT seller.actor_id IN origins AND NOT seller.actor_id IN destinations THEN 'out' END AS side
WITH origins, destinations, concept, side, code, r, CASE side WHEN 'in' THEN buyer ELSE seller END AS hub
WHERE side IS NOT NULL AND NOT (hub:Placeholder OR hub:Weapon OR hub:Logistics)
// by hub, side and code, where a sum is known if every record has a value
WITH origins, destinations, concept, hub, side, code, count(r) AS n, min(r.period_start) AS first, max(r.period_end) AS last,
     CASE WHEN count(r.value_usd) = count(r) THEN sum(r.value_usd) END AS usd
ORDER BY side, code
WITH origins, destinations, concept, hub, sum(n) AS n_records, min(first) AS first_date, max(last) AS last_date,
     collect(CASE side WHEN 'in' THEN {code: code, usd: usd} END) AS ins,
     collect(CASE side WHEN 'out' THEN {code: code, usd: usd} END) AS outs, collect(DISTINCT code) AS codes
WHERE size(ins) > 0 AND size(outs) > 0
WITH *, reduce(found = [], code IN codes | found + [part IN split(code, '+') WHERE NOT left(part, 4) IN found | left(part, 4)]) AS headings
// headings that a source gives only as a sum, or in a wider code, are one class
WITH *, reduce(classes = [], meant IN [code IN codes | [h IN headings WHERE any(part IN split(code, '+') WHERE h = left(part, 4)
         OR h <> '' AND part <> '' AND (h STARTS WITH left(part, 4) OR left(part, 4) STARTS WITH h))]] |
       [c IN classes WHERE none(h IN c WHERE h IN meant)]
       + [reduce(joined = meant, c IN [c IN classes WHERE any(h IN c WHERE h IN meant)] | joined + c)]) AS classes
WITH *, reduce(usd = 0.0, x IN ins | usd + x.usd) AS inflow_usd, reduce(usd = 0.0, x IN outs | usd + x.usd) AS outflow_usd,
     [c IN classes | [reduce(usd = 0.0, x IN [x IN ins WHERE left(split(x.code, '+')[0], 4) IN c] | usd + x.usd),
                      reduce(usd = 0.0, x IN [x IN outs WHERE left(split(x.code, '+')[0], 4) IN c] | usd + x.usd)]] AS pairs
WITH *, reduce(usd = 0.0, pair IN pairs | usd + CASE WHEN pair[0] < pair[1] THEN pair[0] ELSE pair[1] END) AS bound
WITH *, CASE WHEN inflow_usd IS NOT NULL AND outflow_usd IS NOT NULL THEN bound END AS throughput_max_usd
ORDER BY throughput_max_usd IS NULL, throughput_max_usd DESC, hub.actor_id
LIMIT toInteger($limit)
RETURN hub.actor_id AS hub_id, hub.name AS hub, hub.country AS country, concept, inflow_usd, outflow_usd, throughput_max_usd,
       n_records, first_date, last_date, [x IN ins | x.code] AS inflow_products, [x IN outs | x.code] AS outflow_products,
       COLLECT { MATCH path = (other:Chiptrail)-[s:SUPPLIES {network_id: $network_id}]-(hub)
                 WHERE CASE startNode(s) WHEN hub THEN other.actor_id IN destinations AND s.concept = 'dispatched'
                       ELSE other.actor_id IN origins AND s.concept = concept END
                 RETURN path } AS graph
