//! What whoever reads the kernel side is asked to do when programs come or go.

use std::collections::BTreeMap;

use crate::attach::Programs;

/// What the kernel side's books need when programs come or go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Books {
    /// Hazards were given up.
    SettleHazards,
    /// Waits were given up.
    SettleWaits,
    /// Everything was.
    Forget,
    /// Programs are about to be attached, or given up.
    Changing,
    /// Those that are to be attached are: each hook's programs.
    Attached(BTreeMap<&'static str, Programs>),
}
