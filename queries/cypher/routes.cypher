// Routes: by which chains of records may goods have gone from the origins to the destinations, in time order?
// The legs share one HS heading along the whole route or belong to one case, no actor comes twice, and a moment can be chosen for
// each leg so that none lies before the one ahead of it. A leg is all its records that can take part.
// Caution: none of this says that the same goods went on. Routes share legs, so never add their values. A lead, not a finding.
// Caution: all routes are listed before the best are taken. On large networks name products, a period and few hops.
//
// :param network_id => "bundled-firms"  id of the network in the database
// :param origins => ["USA"]  where the goods come from: codes of countries, or names or ids of actors
// :param destinations => ["RUS"]  where they go: codes of countries, or names or ids of actors
// :param concept => null  what the first leg may be: "dispatched", "origin" or "brand", null as chiptrail chooses
// :param products => []  HS codes or their first digits, none for all goods
// :param since => null  first day, as 2022-01-01, or null
// :param until => null  last day, as 2022-12-31, or null
// :param hops => 3  most legs of a route, 1 to 5
// :param limit => 100  most rows
MATCH (network:Chiptrail:Network {network_id: $network_id})
WITH network.level = 'firms' AS firms, coalesce($concept, CASE network.level WHEN 'countries' THEN 'origin' ELSE 'any' END) AS concept
MATCH (n:Chiptrail {network_id: $network_id})
WHERE n.actor_id IS NOT NULL
WITH firms, concept,
     collect(CASE WHEN n.actor_id IN $origins OR n.name IN $origins OR n.country IN $origins THEN n END) AS starts,
     collect(CASE WHEN n.actor_id IN $destinations OR n.name IN $destinations OR n.country IN $destinations THEN n END) AS ends
UNWIND starts AS start
CALL (start, ends) {
  MATCH path = (start)-[:SUPPLIES {network_id: $network_id}]->(end:Chiptrail)
  WHERE $hops >= 1 AND end IN ends RETURN path
  UNION ALL
  MATCH path = (start)-[:SUPPLIES|BRAND_REACHED|MAKES_WEAPON*2 {network_id: $network_id}]->(end:Chiptrail)
  WHERE $hops >= 2 AND end IN ends RETURN path
  UNION ALL
  MATCH path = (start)-[:SUPPLIES|BRAND_REACHED|MAKES_WEAPON*3 {network_id: $network_id}]->(end:Chiptrail)
  WHERE $hops >= 3 AND end IN ends RETURN path
  UNION ALL
  MATCH path = (start)-[:SUPPLIES|BRAND_REACHED|MAKES_WEAPON*4 {network_id: $network_id}]->(end:Chiptrail)
  WHERE $hops >= 4 AND end IN ends RETURN path
  UNION ALL
  MATCH path = (start)-[:SUPPLIES|BRAND_REACHED|MAKES_WEAPON*5 {network_id: $network_id}]->(end:Chiptrail)
  WHERE $hops >= 5 AND end IN ends RETURN path
}
WITH firms, concept, starts, ends, nodes(path) AS actors, [r IN relationships(path) |
     CASE type(r) WHEN 'BRAND_REACHED' THEN 'brand' WHEN 'MAKES_WEAPON' THEN 'makes_weapon' ELSE r.concept END] AS kinds
WHERE (kinds[0] = CASE concept WHEN 'any' THEN 'dispatched' ELSE concept END OR concept = 'any' AND kinds[0] = 'brand')
  AND all(kind IN kinds[1..-1] WHERE kind = 'dispatched')
  AND (size(kinds) = 1 OR last(kinds) = 'dispatched' OR last(kinds) = 'makes_weapon' AND (size(kinds) > 2 OR kinds[0] <> 'brand'))
  AND all(i IN range(1, size(actors) - 1) WHERE NOT actors[i] IN actors[..i])
  AND (firms OR none(actor IN actors[1..] WHERE actor IN starts) AND none(actor IN actors[1..-1] WHERE actor IN ends))
WITH DISTINCT firms, actors, kinds
// the records of each leg
UNWIND range(0, size(kinds) - 1) AS i
WITH *, actors[i] AS seller, actors[i + 1] AS buyer
MATCH (seller)-[r:TRADED|BRAND_REACHED|MAKES_WEAPON {network_id: $network_id}]->(buyer)
WHERE CASE type(r) WHEN 'BRAND_REACHED' THEN kinds[i] = 'brand' WHEN 'MAKES_WEAPON' THEN kinds[i] = 'makes_weapon'
      ELSE r.concept = kinds[i] AND r.left_aside IS NULL
        AND ($since IS NULL OR r.period_start >= date($since) OR firms AND coalesce(r.period_end >= date($since), true))
        AND ($until IS NULL OR r.period_end <= date($until) OR firms AND coalesce(r.period_start <= date($until), true))
        AND (size($products) = 0 OR all(part IN split(coalesce(r.hs_code, r.product_set, ''), '+') WHERE
             any(prefix IN $products WHERE part STARTS WITH prefix))) END
WITH firms, actors, kinds, i, r
ORDER BY r.record_ref, r.key
WITH firms, actors, kinds, i, collect({r: r, usd: r.value_usd, case: r.case, dated: r.period_start IS NOT NULL,
     first: coalesce(r.period_start, date('0001-01-01')), last: coalesce(r.period_end, date('9999-12-31')),
     codes: [part IN split(coalesce(r.hs_code, r.product_set, ''), '+') WHERE part <> '']}) AS leg
ORDER BY i
WITH firms, actors, kinds, collect(leg) AS steps
WHERE size(steps) = size(kinds)
WITH *, CASE kinds[0] WHEN 'brand' THEN steps[0] END AS brands, CASE last(kinds) WHEN 'makes_weapon' THEN last(steps) END AS weapons
WITH *, steps[CASE WHEN brands IS NULL THEN 0 ELSE 1 END..size(steps) - CASE WHEN weapons IS NULL THEN 0 ELSE 1 END] AS trades
// what the legs can join on: a heading, or a case, in which alone placeholders and forwarders tie others together
UNWIND reduce(found = [], leg IN trades | reduce(found = found, x IN leg |
       found + [key IN [c IN x.codes | 'HS ' + left(c, 4)] + ['case ' + x.case] WHERE NOT (key IS NULL OR key IN found)])) AS key
WITH DISTINCT firms, actors, kinds, brands, weapons, trades, key, substring(key, 3) AS heading
WHERE NOT key STARTS WITH 'HS ' OR none(actor IN actors[1..-1] WHERE actor:Placeholder OR actor:Logistics)
WITH *, [leg IN trades | [x IN leg WHERE CASE WHEN key STARTS WITH 'HS '
     THEN any(c IN x.codes WHERE left(c, 4) = heading OR size(c) < size(heading) AND heading STARTS WITH c)
     ELSE 'case ' + x.case = key END]] AS joined
WHERE none(leg IN joined WHERE size(leg) = 0)
// time: the earliest moment of each leg after those before it, with dated records if they suffice, else with all
WITH *, [dated IN [true, false] | {dated: dated, legs: [leg IN joined | [x IN leg WHERE x.dated OR NOT dated]]}] AS choices
WITH *, head([c IN [c IN choices | {dated: c.dated, legs: c.legs, earliest: reduce(days = [date('0001-01-01')], leg IN c.legs |
     days + [reduce(day = null, x IN [x IN leg WHERE x.last >= last(days)] |
             CASE WHEN day < x.first OR day <= last(days) THEN day WHEN x.first < last(days) THEN last(days) ELSE x.first END)])}]
     WHERE last(c.earliest) IS NOT NULL]) AS choice
WHERE choice IS NOT NULL
// and the latest moment of each leg before those after it, last leg first
WITH *, reduce(days = [date('9999-12-31')], leg IN reverse(choice.legs) |
     days + [reduce(day = null, x IN [x IN leg WHERE x.first <= last(days)] |
             CASE WHEN day > x.last OR day >= last(days) THEN day WHEN x.last > last(days) THEN last(days) ELSE x.last END)]) AS latest
WITH *, [i IN range(0, size(trades) - 1) | [x IN choice.legs[i] WHERE x.last >= choice.earliest[i]
         AND x.first <= latest[size(trades) - 1 - i]]] AS legs
WHERE (brands IS NULL OR any(b IN brands WHERE b.case IS NULL OR any(x IN legs[0] WHERE x.case = b.case)))
  AND (weapons IS NULL OR any(w IN weapons WHERE w.case IS NULL OR any(x IN last(legs) WHERE x.case = w.case)))
WITH *, [leg IN legs | reduce(usd = 0.0, x IN leg | usd + x.usd)] AS legs_usd,
     [leg IN legs | reduce(day = leg[0].first, x IN leg | CASE WHEN x.first < day THEN x.first ELSE day END)] AS firsts,
     [leg IN legs | reduce(day = leg[0].last, x IN leg | CASE WHEN x.last > day THEN x.last ELSE day END)] AS lasts
WITH firms, collect({actors: actors, kinds: kinds, key: key, ids: [actor IN actors | actor.actor_id], legs_usd: legs_usd,
     records: [leg IN CASE WHEN brands IS NULL THEN [] ELSE [brands] END + legs
              + CASE WHEN weapons IS NULL THEN [] ELSE [weapons] END | [x IN leg | x.r]],
     smallest: reduce(usd = legs_usd[0], v IN legs_usd[1..] | CASE WHEN v IS NULL OR v < usd THEN v ELSE usd END),
     arrival: CASE WHEN choice.dated THEN last(choice.earliest) END,
     time: CASE WHEN NOT choice.dated THEN 'undated' WHEN all(i IN range(1, size(legs) - 1) WHERE lasts[i - 1] <= firsts[i])
                THEN 'ordered' ELSE 'overlapping' END}) AS found
UNWIND found AS route
// one telling of each: by its first key, and between firms in its full length
WITH firms, found, route
WHERE none(other IN found WHERE other.ids = route.ids AND other.kinds = route.kinds AND other.key < route.key
           AND all(i IN range(0, size(route.kinds) - 1) WHERE size(other.records[i]) = size(route.records[i])
                   AND all(r IN route.records[i] WHERE r IN other.records[i])))
  AND NOT (firms AND any(other IN found WHERE
           other.ids[1..] = route.ids AND other.kinds[1..] = route.kinds
           AND all(i IN range(0, size(route.kinds) - 1) WHERE all(r IN route.records[i] WHERE r IN other.records[i + 1]))
           OR other.ids[..-1] = route.ids AND other.kinds[..-1] = route.kinds
           AND all(i IN range(0, size(route.kinds) - 1) WHERE all(r IN route.records[i] WHERE r IN other.records[i]))))
WITH route
ORDER BY route.smallest IS NULL, route.smallest DESC, size(route.kinds), route.arrival, route.ids, route.key, route.kinds
LIMIT toInteger($limit)
RETURN reduce(text = route.actors[0].name, actor IN route.actors[1..] | text + ' → ' + actor.name) AS path, route.ids AS actor_ids,
       size(route.kinds) AS n_legs, route.kinds AS kinds, route.smallest AS smallest_leg_usd, route.legs_usd AS legs_usd,
       route.key AS joined_by, route.time AS time, route.arrival AS arrival,
       [leg IN route.records | [r IN leg | r.record_ref]] AS record_refs, [route.actors, route.records] AS graph
