//! A round that was played, as its file has it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{bytes, bytes_32};
use crate::agreement::Secret;
use crate::codec::{self, decode};
use crate::id::{Header, SiteId};
use crate::message::{Advert, Signed};
use crate::roll::Roll;
use crate::seed::Seed;
use crate::study::Study;

/// A round and what its sites brought.
pub(super) struct Played {
    pub(super) study: Study,
    pub(super) header: Header,
    pub(super) sites: Vec<Given>,
    file: Value,
}

/// What a site's part follows from.
pub(super) struct Given {
    pub(super) site: SiteId,
    pub(super) seed: [u8; 32],
    /// A prepared cohort, encoded.
    pub(super) cohort: Vec<u8>,
    pub(super) vector: Vec<i64>,
}

impl Played {
    pub(super) fn read(name: &str) -> Self {
        let file = super::read(name);
        let given = |site: &Value| Given {
            site: SiteId(site["site"].as_u64().unwrap().try_into().unwrap()),
            seed: bytes_32(&site["seed"]),
            cohort: bytes(&site["cohort"]),
            vector: serde_json::from_value(site["vector"].clone()).unwrap(),
        };
        Self {
            study: Study::parse(file["study"].as_str().unwrap().as_bytes()).unwrap(),
            header: decode(&bytes(&file["header"])).unwrap(),
            sites: file["sites"]
                .as_array()
                .unwrap()
                .iter()
                .map(given)
                .collect(),
            file,
        }
    }

    /// The encoded bodies that sites sent at the stage with this place.
    pub(super) fn bodies(&self, stage: usize) -> BTreeMap<SiteId, Vec<u8>> {
        let messages = self.file["stages"][stage]["signed"].as_array().unwrap();
        let signed = messages
            .iter()
            .map(|message| decode::<Signed>(&bytes(message)).unwrap());
        signed
            .map(|signed| (signed.site, signed.body.to_vec()))
            .collect()
    }

    /// The only sealed chunk of each masked vector.
    pub(super) fn chunks(&self) -> BTreeMap<SiteId, Vec<u8>> {
        let chunks = self.file["stages"][2]["chunks"].as_array().unwrap();
        let only = chunks.iter().map(|chunks| bytes(&chunks[0]));
        self.bodies(2).into_keys().zip(only).collect()
    }

    pub(super) fn survivors(&self) -> Vec<SiteId> {
        let survivors: Vec<u16> = serde_json::from_value(self.file["survivors"].clone()).unwrap();
        survivors.into_iter().map(SiteId).collect()
    }

    /// The adverts of all sites, of keys that follow from their seeds.
    pub(super) fn roll(&self) -> Roll {
        let mut roll = Roll::default();
        for given in &self.sites {
            let advert = Advert {
                cipher_key: self.secret(given, "cipher key").public(),
                mask_key: self.secret(given, "mask key").public(),
            };
            roll.add(given.site, advert).unwrap();
        }
        roll
    }

    /// A site's secret key of the round (section 3).
    pub(super) fn secret(&self, given: &Given, label: &str) -> Secret {
        let round = self.header.digest().0;
        let secret = super::key("bound seed", &given.seed, &[&round, label.as_bytes()]);
        Secret::from_seed(&Seed::new(secret))
    }
}

/// Hexadecimal digits of a value's encoding.
pub(super) fn encoded(value: &impl minicbor::Encode<()>) -> String {
    hex::encode(codec::encode(value))
}
