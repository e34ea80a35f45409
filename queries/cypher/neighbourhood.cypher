// Neighbourhood: who supplies an actor or country, and whom does it supply?
// One row per supplier or customer and concept, each flow counted once, largest known value first.
// Caution: value_usd is missing if a record behind it has no value, and known_usd is then only what is known.
//
// :param network_id => "bundled-firms"  id of the network in the database
// :param actor => "HKG"  who: code of a country, or name or id of an actor
// :param limit => 100  most rows
MATCH (actor:Chiptrail {network_id: $network_id})
WHERE $actor IN [actor.actor_id, actor.name, actor.country]
MATCH path = (actor)-[s:SUPPLIES {network_id: $network_id}]-(other:Chiptrail)
WITH *
ORDER BY s.known_usd IS NULL, s.known_usd DESC, actor.name, other.name, s.key
LIMIT toInteger($limit)
RETURN actor.name AS actor, CASE WHEN startNode(s) = actor THEN 'supplies' ELSE 'is supplied by' END AS side, other.name AS other,
       other.actor_id AS other_id, other.country AS other_country, s.concept AS concept, s.value_usd AS value_usd,
       s.known_usd AS known_usd, s.n_records AS n_records, s.n_without_value AS n_without_value, s.first_date AS first_date,
       s.last_date AS last_date, s.products AS products, s.basis AS basis, s.reported_by AS reported_by, s.sources AS sources,
       path AS graph
