//! Who holds whose shares in the round of `round-on-a-graph.json` (section 4).

use serde_json::{Value, json};

use super::played::{Given, Played};
use super::{compare, key};
use crate::holders::Holders;

#[test]
fn holders_of_a_round_on_a_graph() {
    let round = Played::read("round-on-a-graph.json");
    let roll = round.roll();
    let holders = Holders::draw(&round.study, &round.header, roll.adverts());
    let site = |given: &Given| -> Value {
        let advert = roll.get(given.site).unwrap();
        let keys = [advert.cipher_key.0, advert.mask_key.0].concat();
        let round = round.header.digest().0;
        let generator = key("picks", &keys, &[&round, &given.site.0.to_be_bytes()]);
        let of: Vec<u16> = holders.of(given.site).iter().map(|site| site.0).collect();
        json!({
            "site": given.site.0,
            "cipher key": advert.cipher_key.to_string(),
            "mask key": advert.mask_key.to_string(),
            "generator": hex::encode(generator),
            "holders": of,
        })
    };
    let sites: Vec<Value> = round.sites.iter().map(site).collect();
    compare(
        "holders.json",
        &json!({ "threshold": holders.threshold(), "sites": sites }),
    );
}
