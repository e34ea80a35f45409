// Evidence: which records stand behind what one actor or country sent to another?
// Every telling of every trade, with its source. `left_aside` says why sums leave a record out.
// Caution: two records may tell the same flow, so add only those without left_aside. `basis` says how sure each one is.
//
// :param network_id => "bundled-firms"  id of the network in the database
// :param seller => "HKG"  who sends: code of a country, or name or id of an actor
// :param buyer => "RUS"  who receives: code of a country, or name or id of an actor
// :param limit => 100  most rows
MATCH (seller:Chiptrail {network_id: $network_id})
WHERE $seller IN [seller.actor_id, seller.name, seller.country]
MATCH (seller)-[r:TRADED {network_id: $network_id}]->(buyer:Chiptrail)
WHERE $buyer IN [buyer.actor_id, buyer.name, buyer.country]
WITH *
ORDER BY seller.name, buyer.name, r.period_end, r.period_start, r.record_ref, r.key
LIMIT toInteger($limit)
OPTIONAL MATCH (source:Chiptrail:Source {network_id: $network_id, source_id: r.source_id})
RETURN seller.name AS seller, buyer.name AS buyer, r.trade_id AS trade_id, coalesce(r.hs_code, r.product_set) AS products,
       r.goods AS goods, r.period_start AS first_date, r.period_end AS last_date, r.value_usd AS value_usd, r.concept AS concept,
       r.reported_by AS reported_by, r.basis AS basis, r.case AS case, r.left_aside AS left_aside, r.record_ref AS record_ref,
       source.title AS source, source.url AS url, [seller, r, buyer] AS graph
