//! The places for requests in work: a process takes no more at once than it can do well.
//!
//! A request gives its place back while its body is on its way, so that slow clients do not keep the others out.

use std::sync::Arc;

use actix_web::{HttpMessage as _, HttpRequest, web};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{ApiError, ErrorCode};

/// Requests in work at once in a process.
const MAX_IN_WORK: usize = 512;

/// The places, shared by all workers.
#[derive(Clone)]
pub struct Capacity(Arc<Semaphore>);

/// A place, kept with its request.
struct Place(#[expect(dead_code, reason = "given back when it is dropped")] OwnedSemaphorePermit);

impl Default for Capacity {
    fn default() -> Self {
        Self::new(MAX_IN_WORK)
    }
}

impl Capacity {
    /// As many places.
    #[must_use]
    pub fn new(places: usize) -> Self {
        Self(Arc::new(Semaphore::new(places)))
    }

    /// Takes a place for a request until its end; refuses when there is none.
    pub fn take_place(request: &HttpRequest) -> Result<(), ApiError> {
        if let Some(capacity) = request.app_data::<web::Data<Self>>() {
            let permit = Arc::clone(&capacity.0).try_acquire_owned().map_err(|_full| ErrorCode::Overloaded)?;
            request.extensions_mut().insert(Place(permit));
        }
        Ok(())
    }

    /// Gives the place of a request back before its end.
    pub(super) fn give_back(request: &HttpRequest) {
        request.extensions_mut().remove::<Place>();
    }
}
