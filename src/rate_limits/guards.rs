//! Around the endpoints: counts each request as traffic of its payer, tells in the answer how the payer stands, and counts the answer
//! until it is taken.
//!
//! The headers are those of draft-ietf-httpapi-ratelimit-headers-10.

use actix_web::Error;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{HttpRequest, web};

use super::traffic::Standing;
use super::{ClientNet, Payer, RateLimits};
use crate::http::{ApiError, Traffic};

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STATE: HeaderName = HeaderName::from_static("ratelimit");

/// The guard before open endpoints: a request counts for the net it comes from.
pub async fn count_open(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
    traffic: Option<Traffic>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let payer = Payer::Net(ClientNet::of(request.request()).0);
    count_and_pass(request, next, traffic, payer).await
}

/// Lets a request pass if the payer's bucket has one left.
pub async fn count_and_pass(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
    traffic: Option<Traffic>,
    payer: Payer,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let standing = traffic.and_then(|traffic| take(request.request(), traffic, payer));
    let mut answer = match standing.as_ref().and_then(refusal) {
        Some(refusal) => request.error_response(refusal),
        None if traffic.is_some() => pass(request, next, payer).await?,
        None => next.call(request).await?.map_into_boxed_body(),
    };
    tell(answer.headers_mut(), standing.as_ref());
    Ok(answer)
}

/// Serves a request in its payer's turn, if there is room for its answer.
async fn pass(request: ServiceRequest, next: Next<impl MessageBody + 'static>, payer: Payer) -> Result<ServiceResponse<BoxBody>, Error> {
    let Some(unsent) = request.app_data::<web::Data<RateLimits>>().map(|limits| limits.0.unsent.clone()) else {
        return Ok(next.call(request).await?.map_into_boxed_body());
    };
    // What changes something has a small answer, and a body that may be long on its way.
    if request.method().is_safe() {
        unsent.wait_for_turn(request.request(), payer).await;
    }
    if let Err(refusal) = unsent.admit(payer) {
        return Ok(request.error_response(refusal));
    }
    Ok(unsent.hold(next.call(request).await?.map_into_boxed_body(), payer))
}

/// Refuses a request that has no valid token; by 429 once its net has used up what it may.
pub fn count_and_refuse(request: ServiceRequest, reason: ApiError) -> ServiceResponse<BoxBody> {
    let payer = Payer::Net(ClientNet::of(request.request()).0);
    let standing = take(request.request(), Traffic::Anonymous, payer);
    let mut answer = request.error_response(standing.as_ref().and_then(refusal).unwrap_or(reason));
    tell(answer.headers_mut(), standing.as_ref());
    answer
}

fn take(request: &HttpRequest, traffic: Traffic, payer: Payer) -> Option<Standing> {
    request.app_data::<web::Data<RateLimits>>()?.take(traffic, payer)
}

fn refusal(standing: &Standing) -> Option<ApiError> {
    let millis = standing.wait?.as_nanos().div_ceil(1_000_000);
    Some(ApiError::rate_limited(standing.traffic.as_str(), i64::try_from(millis).unwrap_or(i64::MAX)))
}

fn tell(headers: &mut HeaderMap, standing: Option<&Standing>) {
    let Some(Standing { traffic, bucket, left, full_in, .. }) = standing else { return };
    let (name, window) = (traffic.as_str(), bucket.window_millis / 1_000);
    let full_in = full_in.as_nanos().div_ceil(1_000_000_000);
    let policy = format!("\"{name}\";q={};w={window}", bucket.count);
    let state = format!("\"{name}\";r={left};t={full_in}");
    for (header, text) in [(POLICY, policy), (STATE, state)] {
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(header, value);
        }
    }
}
