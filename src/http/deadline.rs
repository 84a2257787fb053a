//! The time in which a request is answered, which a handler that is asked to wait may put off.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use actix_web::{HttpMessage as _, HttpRequest};
use tokio::time::Instant;

/// When a request is to be answered at the latest. Clones are one deadline.
#[derive(Clone)]
pub struct Deadline(Rc<Cell<Instant>>);

impl Deadline {
    /// One that is so far away.
    #[must_use]
    pub fn after(time: Duration) -> Self {
        Self(Rc::new(Cell::new(Instant::now() + time)))
    }

    /// Puts the deadline of a request off, to so much later than the present. It never comes nearer.
    pub fn put_off(request: &HttpRequest, time: Duration) {
        if let Some(Self(at)) = request.extensions().get::<Self>() {
            at.set(at.get().max(Instant::now() + time));
        }
    }

    /// Returns when it has passed.
    pub async fn passed(&self) {
        loop {
            let at = self.0.get();
            tokio::time::sleep_until(at).await;
            if self.0.get() <= at {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_deadline_can_be_put_off_and_not_be_brought_forward() {
        let begun = Instant::now();
        let request = TestRequest::get().to_http_request();
        let deadline = Deadline::after(Duration::from_secs(10));
        request.extensions_mut().insert(deadline.clone());
        let putting_off = async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            Deadline::put_off(&request, Duration::from_secs(20));
            Deadline::put_off(&request, Duration::from_secs(1));
        };
        tokio::join!(deadline.passed(), putting_off);
        assert_eq!(begun.elapsed().as_secs(), 25);
    }
}
