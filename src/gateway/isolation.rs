//! Keeps what happens to one request from the others and from the data.
//!
//! The framework drops a handler half-way when its client resets the connection, and gives no answer at all when it
//! panics. So every request runs in a task of its own: a change goes on to its end though nobody waits for it, a panic
//! becomes an answer, and a request that takes too long is answered for.

use std::time::Duration;

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use tokio::task::AbortHandle;

use crate::http::{ApiError, BODY_DEADLINE, ErrorCode};

/// Time in which a request whose body has arrived is answered. The stores give up much earlier.
const WORK_DEADLINE: Duration = Duration::from_secs(10);

/// The middleware.
pub(super) async fn isolate(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let changes_nothing = request.method().is_safe();
    let task = actix_web::rt::spawn(next.call(request));
    let abandoned = changes_nothing.then(|| AbortOnDrop(task.abort_handle()));
    let outcome = tokio::time::timeout(BODY_DEADLINE + WORK_DEADLINE, task).await;
    drop(abandoned);
    match outcome {
        Ok(Ok(response)) => response,
        Ok(Err(panic)) => Err(ApiError::caused(ErrorCode::Internal, panic).into()),
        Err(late) => {
            let code = if changes_nothing { ErrorCode::Unavailable } else { ErrorCode::OutcomeUnknown };
            Err(ApiError::caused(code, late).into())
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
