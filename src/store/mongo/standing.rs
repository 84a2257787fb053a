//! What is known of a server that answers: whether it has all that is used, and room for further data.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::logging;

/// Shared by the operations and the look at the server.
#[derive(Default)]
pub(super) struct Standing {
    /// Whether all that is used was tried, and worked.
    is_tried: AtomicBool,
    /// Whether a change failed for want of room since then.
    is_full: AtomicBool,
}

impl Standing {
    pub(super) fn is_tried(&self) -> bool {
        self.is_tried.load(Ordering::Acquire)
    }

    pub(super) fn has_room(&self) -> bool {
        !self.is_full.load(Ordering::Acquire)
    }

    /// Notes that all that is used works, which includes changes that add data.
    pub(super) fn note_tried(&self) {
        self.is_tried.store(true, Ordering::Release);
        if self.is_full.swap(false, Ordering::AcqRel) {
            log::info!(event = "storage_free"; "the database takes data again");
        }
    }

    /// Notes that a change failed for want of room. It is tried again with the next look whether there is any: a change that went
    /// through since may have been one that frees some.
    pub(super) fn note_full(&self, cause: &(dyn std::error::Error + 'static)) {
        self.is_tried.store(false, Ordering::Release);
        if !self.is_full.swap(true, Ordering::AcqRel) {
            log::error!(event = "storage_full", error = logging::causes(cause); "the database takes no more data: give it more room or a \
                higher quota, or look at who blocks its writes; reads go on, and changes as far as it takes them");
        }
    }
}
