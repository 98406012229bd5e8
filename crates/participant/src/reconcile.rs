//! What a ledger that comes from a backup lacks: told by the site's own signed announcements, which the aggregator keeps.
//!
//! The aggregator can withhold an announcement; it cannot make one up, since the site signed it. It shows those of one study
//! alone, and nothing of the ledger, which holds other studies too, leaves the site.

use protocol::api::{AnnouncementError, Announcements, Stage};
use protocol::codec;
use protocol::id::{Digest, Header, SiteId};
use protocol::study::Study;

use crate::journal::Journal;
use crate::ledger::{Ledger, LedgerError};
use crate::register::{Begun, Line};
use crate::writes::{Key, Write, Writes};

/// A masked input that this site sent, and that its ledger does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owed {
    /// The round.
    pub header: Header,
    /// The digest of the masked input's body, without its signature.
    pub body: Digest,
}

/// A page of a site's announcements, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Those that the ledger does not have.
    pub owed: Vec<Owed>,
    /// The least number of a round on the next page; `None` where this is the last.
    pub next: Option<u32>,
}

/// Checks a page of announcements of the site with this number, from the round `from` on.
///
/// # Errors
///
/// Announcements that are not in ascending order, of another study or another site, or not signed by it.
pub fn page(
    study: &Study,
    site: SiteId,
    ledger: &Ledger,
    from: u32,
    page: &Announcements,
) -> Result<Page, NotOurs> {
    let mut least = Some(from);
    let mut owed = Vec::new();
    for announcement in &page.announcements {
        let header = &announcement.header;
        if least.is_none_or(|least| header.number < least) {
            return Err(NotOurs::Order(header.number));
        }
        least = header.number.checked_add(1);
        let input = announcement.open(study, site)?;
        if ledger.find(header.study, header.number).is_none() {
            owed.push(Owed {
                header: header.clone(),
                body: Digest::of(&codec::encode(&input)),
            });
        }
    }
    let next = least.filter(|_| !page.announcements.is_empty());
    Ok(Page { owed, next })
}

/// What a journal proves that this site released, if the ledger does not have it.
#[must_use]
pub fn in_journal(journal: &Journal, ledger: &Ledger) -> Option<Owed> {
    let header = &journal.opened().header;
    let sent = journal.sending(Stage::Mask)?;
    let is_charged = ledger.find(header.study, header.number).is_some();
    (!is_charged).then(|| Owed {
        header: header.clone(),
        body: sent.body(),
    })
}

/// The rounds whose sums this site helped to open, by the register, and that the ledger does not have.
#[must_use]
pub fn opened_uncharged(study: &Study, register: &[Line], ledger: &Ledger) -> Vec<u32> {
    let opened = register.iter().filter_map(|line| match line {
        Line::Opened(number) => Some(*number),
        Line::Begun(_) => None,
    });
    let is_charged = |number: &u32| ledger.find(study.digest(), *number).is_some();
    opened.filter(|number| !is_charged(number)).collect()
}

/// What the register is to have of the rounds that the ledger has and it does not, in their order.
#[must_use]
pub fn unregistered(study: &Study, register: &[Line], ledger: &Ledger) -> Vec<Line> {
    let has = |number: u32| {
        let is = |line: &Line| matches!(line, Line::Begun(begun) if begun.number == number);
        register.iter().any(is)
    };
    let lines = ledger
        .lines_of(study.digest())
        .filter(|line| !has(line.number));
    let begun = lines.filter_map(|line| {
        let round = line.round?;
        Some(Begun {
            number: line.number,
            place: round.place,
            purpose: line.purpose,
            state: round.state,
        })
    });
    begun
        .flat_map(|begun| [Line::Begun(begun), Line::Opened(begun.number)])
        .collect()
}

/// What is to be stored so that ledger and register have what is owed; the ledger has it then.
///
/// These releases have happened, so no budget is asked. A round that is charged like this counts as one whose sum this site
/// helped to open.
///
/// # Errors
///
/// A round that the ledger has already.
pub fn settle(
    study: &Study,
    ledger: &mut Ledger,
    owed: &[Owed],
    charged_at: u64,
) -> Result<Writes, LedgerError> {
    let mut list = Vec::new();
    for Owed { header, body } in owed {
        let begun = [Line::Begun(Begun::of(header)), Line::Opened(header.number)];
        let begun: String = begun.iter().map(Line::text).collect();
        list.push(Write::Append(Key::Register, begun.into_bytes()));
        let line = ledger.take_back(study, header, *body, charged_at)?;
        list.push(Write::Append(Key::Ledger, line.text().into_bytes()));
    }
    Ok(Writes::new(list, 0))
}

/// What the aggregator showed is not what this site announced.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotOurs {
    /// Numbers do not rise.
    #[error("the aggregator showed the announcement of round {0} out of order")]
    Order(u32),
    /// It is not what this site sent.
    #[error("the aggregator showed an announcement that is not this site's: {0}")]
    Announcement(#[from] AnnouncementError),
}

#[cfg(test)]
mod tests {
    use protocol::api::Announcement;
    use protocol::id::{AgreementKey, Purpose};
    use protocol::message::MaskedInput;
    use testkit::{Draft, TestStudy};

    use super::*;
    use crate::ledger::LedgerId;
    use crate::plan::Plan;
    use crate::register;

    const SITE: SiteId = SiteId(1);

    fn kit() -> TestStudy {
        Draft {
            epsilon: 1.0,
            ..Draft::default()
        }
        .make()
    }

    fn ledger() -> (Ledger, Vec<u8>) {
        let bytes = Ledger::begin(LedgerId::new([1; 16]));
        (Ledger::decode(&bytes, None).unwrap().0, bytes)
    }

    fn body() -> Vec<u8> {
        codec::encode(&MaskedInput {
            encapsulated: AgreementKey([1; 32]),
            sharers: Digest([2; 32]),
            commitment: Digest([3; 32]),
            chunks: Vec::new(),
        })
    }

    fn announcement(kit: &TestStudy, number: u32) -> Announcement {
        let header = kit.header(number, Purpose::Train);
        let signed = kit.sign(&header, Stage::Mask, SITE, body());
        Announcement {
            header,
            message: codec::encode(&signed).into(),
        }
    }

    fn shown(announcements: Vec<Announcement>) -> Announcements {
        Announcements { announcements }
    }

    #[test]
    fn a_ledger_from_a_backup_gets_back_what_it_lacks() {
        let kit = kit();
        let (mut ledger, mut bytes) = ledger();
        let list = shown(vec![announcement(&kit, 0), announcement(&kit, 3)]);
        let found = page(&kit.study, SITE, &ledger, 0, &list).unwrap();
        assert_eq!((found.owed.len(), found.next), (2, Some(4)));
        let writes = settle(&kit.study, &mut ledger, &found.owed, 7).unwrap();
        let mut register = Vec::new();
        for write in writes.list() {
            match write {
                Write::Append(Key::Ledger, more) => bytes.extend(more),
                Write::Append(Key::Register, more) => register.extend(more),
                other => panic!("{other:?}"),
            }
        }
        let (read, _) = Ledger::decode(&bytes, None).unwrap();
        assert_eq!(read.lines(), ledger.lines());
        let (lines, _) = register::decode(&register).unwrap();
        let plan = Plan::new(&kit.study, &lines, &read).unwrap();
        assert_eq!((plan.last(), plan.uncharged()), (Some(3), 0));
        // Of the two files either comes back by the other.
        assert_eq!(unregistered(&kit.study, &[], &read), lines);
        assert_eq!(unregistered(&kit.study, &lines, &read), []);
        let empty = self::ledger().0;
        assert_eq!(opened_uncharged(&kit.study, &lines, &empty), [0, 3]);
        assert!(opened_uncharged(&kit.study, &lines, &read).is_empty());
        let again = page(&kit.study, SITE, &read, 0, &list).unwrap();
        assert_eq!(again.owed, []);
        let end = page(&kit.study, SITE, &read, 4, &shown(Vec::new())).unwrap();
        assert_eq!(end.next, None);
    }

    #[test]
    fn what_this_site_did_not_sign_charges_nothing() {
        let kit = kit();
        let (ledger, _) = ledger();
        let honest = announcement(&kit, 3);
        let of_another_place = Announcement {
            header: Header {
                place: 0,
                ..honest.header.clone()
            },
            ..honest.clone()
        };
        let of_nobody = Announcement {
            message: vec![0].into(),
            ..honest.clone()
        };
        let signed = kit.sign(&honest.header, Stage::Mask, SiteId(2), body());
        let of_another_site = Announcement {
            message: codec::encode(&signed).into(),
            ..honest.clone()
        };
        for wrong in [
            vec![of_another_place],
            vec![of_nobody],
            vec![of_another_site],
            vec![honest.clone(), honest.clone()],
        ] {
            assert!(page(&kit.study, SITE, &ledger, 0, &shown(wrong)).is_err());
        }
        assert!(page(&kit.study, SITE, &ledger, 4, &shown(vec![honest])).is_err());
    }
}
