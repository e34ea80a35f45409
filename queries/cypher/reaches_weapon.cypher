// What reaches a weapon: whose parts were found in it, who makes it, and what these makers were sent?
// One row per record, with its evidence. For longer chains run the routes with the weapon as destination.
// Caution: a part found says whose brand it carries, not who sold it or when. A trade with a maker of the weapon may be for
// anything else that it makes. A lead, not a finding.
//
// :param network_id => "bundled-firms"  id of the network in the database
// :param weapon => "Orlan-10"  id of a weapon, or any part of its name
// :param limit => 100  most rows
MATCH (weapon:Chiptrail:Weapon {network_id: $network_id})
WHERE weapon.actor_id = $weapon OR toLower(weapon.name) CONTAINS toLower($weapon)
CALL (weapon) {
  MATCH (maker:Chiptrail)-[r:COMPONENT_IN {network_id: $network_id}]->(weapon)
  RETURN 3 AS place, 'part found' AS relation, maker AS from, r, weapon AS to
  UNION ALL
  MATCH (maker:Chiptrail)-[r:MAKES_WEAPON {network_id: $network_id}]->(weapon)
  RETURN 1 AS place, 'makes the weapon' AS relation, maker AS from, r, weapon AS to
  UNION ALL
  MATCH (maker:Chiptrail)-[:MAKES_WEAPON {network_id: $network_id}]->(weapon)
  WITH DISTINCT maker
  MATCH (seller:Chiptrail)-[r:TRADED {network_id: $network_id}]->(maker) WHERE r.left_aside IS NULL
  RETURN 2 AS place, 'sent to a maker' AS relation, seller AS from, r, maker AS to
}
WITH *
ORDER BY weapon.name, place, r.n_parts IS NULL, r.n_parts DESC, from.name, r.record_ref, r.key
LIMIT toInteger($limit)
OPTIONAL MATCH (source:Chiptrail:Source {network_id: $network_id, source_id: r.source_id})
RETURN weapon.name AS weapon, relation, from.name AS from_name, from.country AS from_country, to.name AS to_name,
       r.n_parts AS n_parts, r.goods AS goods, coalesce(r.hs_code, r.product_set) AS products, r.period_start AS first_date,
       r.period_end AS last_date, r.value_usd AS value_usd, r.concept AS concept, r.basis AS basis, r.case AS case,
       r.record_ref AS record_ref, source.title AS source, source.url AS url, [from, r, to] AS graph
