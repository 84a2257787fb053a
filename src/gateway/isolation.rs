//! Keeps what happens to one request from the others and from the data.
//!
//! The framework drops a handler half-way when its client resets the connection, and gives no answer at all when it
//! panics. So every request runs in a task of its own: a change goes on to its end though nobody waits for it, a panic
//! becomes an answer, and a request that takes too long is answered for.

use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _};
use tokio::task::AbortHandle;

use crate::http::{ApiError, BODY_DEADLINE, Deadline, ErrorCode};

/// Time in which a request whose body has arrived is answered, unless its handler puts it off. The stores give up much earlier.
const WORK_DEADLINE: Duration = Duration::from_secs(10);

/// The middleware.
pub(super) async fn isolate(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let changes_nothing = request.method().is_safe();
    let deadline = Deadline::after(BODY_DEADLINE + WORK_DEADLINE);
    request.extensions_mut().insert(deadline.clone());
    let task = actix_web::rt::spawn(next.call(request));
    let abandoned = changes_nothing.then(|| AbortOnDrop(task.abort_handle()));
    let outcome = tokio::select! {
        outcome = task => Some(outcome),
        () = deadline.passed() => None,
    };
    drop(abandoned);
    match outcome {
        Some(Ok(response)) => response,
        Some(Err(panic)) => Err(ApiError::caused(ErrorCode::Internal, panic).into()),
        None => {
            let code = if changes_nothing { ErrorCode::Unavailable } else { ErrorCode::OutcomeUnknown };
            Err(ApiError::caused(code, "the request took too long").into())
        }
    }
}

/// Ends a task that only reads when nobody waits for it any more.
struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::StatusCode;
    use actix_web::middleware::from_fn;
    use actix_web::test::{TestRequest, init_service, try_call_service};
    use actix_web::{App, HttpResponse, web};

    use super::*;

    async fn panicking() -> HttpResponse {
        panic!("as a bug would")
    }

    async fn hanging() -> HttpResponse {
        std::future::pending().await
    }

    async fn status_of(request: TestRequest) -> StatusCode {
        let app = App::new().wrap(from_fn(isolate)).route("/panic", web::get().to(panicking)).default_service(web::to(hanging));
        let answered = try_call_service(&init_service(app).await, request.to_request()).await;
        answered.map_or_else(|error| error.as_response_error().status_code(), |response| response.status())
    }

    #[actix_web::test]
    async fn a_panic_is_the_end_of_its_request_only() {
        assert_eq!(status_of(TestRequest::get().uri("/panic")).await, StatusCode::INTERNAL_SERVER_ERROR);
    }

    #[actix_web::test]
    async fn a_request_that_takes_too_long_is_answered_for() {
        tokio::time::pause();
        for request in [TestRequest::get(), TestRequest::post()] {
            assert_eq!(status_of(request).await, StatusCode::SERVICE_UNAVAILABLE);
        }
    }
}
