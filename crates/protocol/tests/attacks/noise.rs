//! Keys of noise that sites open.

use protocol::api::Stage;
use protocol::codec::decode;
use protocol::message::Opening;
use protocol::round::SiteFault;
use testkit::round::Storage;

use crate::{ALICE, SITES, at, forged, noised_kit};

/// What the aggregator says to Alice's changed opening where the last `dropped` sites sent no vector.
fn accept(dropped: usize, change: impl FnOnce(&mut Opening)) -> Result<(), SiteFault> {
    let kit = noised_kit();
    let mut play = at(&kit, Stage::Mask);
    let leaving = SITES[SITES.len() - dropped..].iter();
    let leaving = leaving.map(|site| (*site, Stage::Mask)).collect();
    play.stage(&leaving, Storage::Memory).unwrap();
    play.next_stage();
    play.honest_until(Stage::Unmask);
    let mut opening: Opening = decode(&play.message(ALICE).unwrap().body).unwrap();
    change(&mut opening);
    let signed = forged(&kit, Stage::Unmask, ALICE, &opening);
    play.round.accept(Stage::Unmask, signed).map(|_| ())
}

#[test]
fn one_key_of_each_survivors_noise_is_opened_and_none_at_the_threshold() {
    for (dropped, keys) in [(0, 5), (1, 4), (2, 0)] {
        let opened = |opening: &mut Opening| assert_eq!(opening.noise.len(), keys);
        accept(dropped, opened).unwrap();
    }
    let fault = Err(SiteFault::Openings(ALICE));
    let less = |opening: &mut Opening| drop(opening.noise.pop());
    assert_eq!(accept(0, less), fault);
    let none = |opening: &mut Opening| opening.noise.clear();
    assert_eq!(accept(1, none), fault);
    let of_the_dropped = |opening: &mut Opening| opening.noise.push(opening.keys[0].clone());
    assert_eq!(accept(1, of_the_dropped), fault);
    let more = |opening: &mut Opening| opening.noise.clone_from(&opening.seeds);
    assert_eq!(accept(2, more), fault);
}
