//! What happens in a simulation, drawn before it starts, so that a list that fails can be cut down and kept.

use crate::setting::{Network, Setting};
use testkit::Dice;

/// One thing that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// A site asks where the study is, and does what it can. Of its calls, those with these numbers meet a fault.
    Step(u16, Vec<(u8, Fault)>),
    /// A site's program is killed; it starts again with its next step.
    CrashSite(u16),
    /// A site says that it takes no further part in its last round, and goes on all the same.
    Withdraw(u16),
    /// A site does nothing until it returns.
    Leave(u16),
    /// A site is there again.
    Return(u16),
    /// The aggregator is killed and starts again.
    CrashAggregator,
    /// So many seconds pass.
    Wait(u64),
    /// A call that was delayed arrives: the one with this number, modulo how many there are.
    Late(u32),
}

/// What becomes of a call. Numbers say which of several ways, modulo how many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It never arrives.
    DropRequest,
    /// It arrives, its answer does not.
    DropAnswer,
    /// It arrives twice.
    Twice,
    /// It arrives after the site has given it up.
    Delay,
    /// The aggregator is killed after it handled the call, before it answered.
    CrashAfter,
    /// The aggregator is killed after it stored what the call brought, before it did anything with it.
    CrashBetween,
    /// The site is killed before the answer arrives.
    CrashSite,
    /// An earlier call of any site is made again before it.
    Repeat(u32),
    /// A bit of what it brings is another.
    FlipRequest(u32),
    /// What it brings goes to another round, stage, site or place.
    Reroute(u32),
    /// A bit of the answer is another.
    FlipAnswer(u32),
    /// The answer is an older one to a call of its kind.
    Stale(u32),
    /// The answer is well formed, and something is left out of it or altered.
    Lie(u32),
}

/// The seconds that may pass at once: less than any stage's time, that of a quick stage, that of any stage.
const WAITS: [u64; 4] = [1, 4, 11, 1_100];

/// The operations of a simulation.
pub(crate) fn draw(setting: &Setting, dice: &mut Dice) -> Vec<Operation> {
    let sites = setting.sites();
    let steps = usize::from(sites) * setting.rounds() * 7;
    (0..steps)
        .map(|_| {
            let site = dice.within(0, sites - 1);
            match dice.below(200) {
                0..4 => Operation::CrashSite(site),
                4..7 => Operation::Leave(site),
                7..14 => Operation::Return(site),
                14..18 => Operation::CrashAggregator,
                18..24 => Operation::Wait(dice.one_of(&WAITS)),
                24..30 => Operation::Late(dice.any()),
                30..33 => Operation::Withdraw(site),
                _ => Operation::Step(site, faults(setting.network, dice)),
            }
        })
        .collect()
}

/// The faults of a step's calls; a step of a site with little to do makes fewer calls, and meets fewer.
fn faults(network: Network, dice: &mut Dice) -> Vec<(u8, Fault)> {
    (0..8)
        .filter_map(|call| {
            let is_met = dice.percent(7);
            is_met.then(|| (call, fault(network, dice)))
        })
        .collect()
}

fn fault(network: Network, dice: &mut Dice) -> Fault {
    let (lossy, all) = (8, 13);
    let kinds = if network == Network::Hostile {
        all
    } else {
        lossy
    };
    match dice.below(kinds) {
        0 => Fault::DropRequest,
        1 => Fault::DropAnswer,
        2 => Fault::Twice,
        3 => Fault::Delay,
        4 => Fault::CrashAfter,
        5 => Fault::CrashBetween,
        6 => Fault::CrashSite,
        7 => Fault::Repeat(dice.any()),
        8 => Fault::FlipRequest(dice.any()),
        9 => Fault::Reroute(dice.any()),
        10 => Fault::FlipAnswer(dice.any()),
        11 => Fault::Stale(dice.any()),
        _ => Fault::Lie(dice.any()),
    }
}
