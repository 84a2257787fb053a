//! The places for requests in work: a process takes no more at once than it can do well.
//!
//! A request gives its place back while its body is on its way, so that slow clients do not keep the others out, and while
//! it waits for news.

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

    /// Takes a place for a request that had one before, as soon as there is one.
    pub async fn wait_for_place(request: &HttpRequest) {
        let capacity = request.app_data::<web::Data<Self>>().map(|capacity| Arc::clone(&capacity.0));
        // The places are never closed.
        if let Some(capacity) = capacity
            && let Ok(permit) = capacity.acquire_owned().await
        {
            request.extensions_mut().insert(Place(permit));
        }
    }

    /// Gives the place of a request back before its end.
    pub fn give_back(request: &HttpRequest) {
        request.extensions_mut().remove::<Place>();
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[actix_web::test]
    async fn who_waits_for_a_place_gets_the_next_that_is_free() {
        let capacity = web::Data::new(Capacity::new(1));
        let request = || TestRequest::get().app_data(capacity.clone()).to_http_request();
        let (busy, woken) = (request(), request());
        Capacity::take_place(&busy).expect("a place");
        assert!(Capacity::take_place(&woken).is_err());
        let mut waiting = std::pin::pin!(Capacity::wait_for_place(&woken));
        assert!(futures_util::poll!(&mut waiting).is_pending());
        Capacity::give_back(&busy);
        waiting.await;
        assert!(Capacity::take_place(&busy).is_err());
        Capacity::give_back(&woken);
        assert!(Capacity::take_place(&busy).is_ok());
    }
}
