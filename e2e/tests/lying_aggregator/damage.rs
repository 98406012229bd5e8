//! What happens to a hospital's folders while its host is not running.

/// A change to a hospital's folders, with the host killed before and started after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Damage {
    /// Nothing: it is only killed and started.
    Nothing,
    /// The folder of journals is removed.
    RemoveRounds,
    /// The ledger is removed.
    RemoveLedger,
    /// A copy of the state folder is put aside.
    KeepCopy,
    /// The ledger is replaced by the one in the copy.
    RestoreLedger,
    /// The state folder is replaced by the copy.
    RestoreState,
    /// From here on the host runs with another state folder, over the same patients and with the same key.
    SecondFolder,
}
