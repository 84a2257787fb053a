//! `GET /api/health`: whether the process can do its work.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::{HttpResponse, web};
use serde::Serialize;
use tokio::sync::Mutex;
use utoipa::ToSchema;

use crate::http::ErrorCode;
use crate::logging;
use crate::store::{Store, StoreError, StoreKind};

/// A store that takes longer does not count as answering.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a result stands for the next ones, so that probes cost the store nothing.
const KEPT: Duration = Duration::from_secs(1);

/// The latest result. One request at a time asks the store; the others wait for its result.
#[derive(Clone, Default)]
pub(super) struct Health(Arc<Mutex<Option<(Instant, bool)>>>);

#[derive(Serialize, ToSchema)]
#[schema(as = Health)]
struct HealthBody {
    #[schema(inline)]
    status: Status,
    #[schema(value_type = StoreKind)]
    store: &'static str,
    #[schema(examples("0.1.0"))]
    version: &'static str,
    /// The code with which some changes fail, when it is degraded.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, examples("storage_full"))]
    reason: Option<&'static str>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Status {
    Ok,
    /// Reads go on, some changes fail.
    Degraded,
    Unavailable,
}

#[utoipa::path(
    get,
    path = "/api/health",
    summary = "Health",
    description = "Whether the process can do its work: whether its store answers within a second. While reads go on it is 200, also when \
        there is no room for further data: log-outs and blocks are still taken then.",
    responses(
        (status = 200, description = "The store answers. `degraded` when changes that add data fail, with the code as `reason`.", body = HealthBody),
        (
            status = 503,
            description = "The store does not answer.",
            body = HealthBody,
            headers(("Retry-After" = u32, description = "Seconds after which to ask again."))
        ),
    )
)]
pub(super) async fn health(store: web::Data<dyn Store>, health: web::Data<Health>) -> HttpResponse {
    let available = is_available(store.get_ref(), &health).await;
    let (status, reason) = match available {
        false => (Status::Unavailable, None),
        true if store.has_room() => (Status::Ok, None),
        true => (Status::Degraded, Some(ErrorCode::StorageFull.as_str())),
    };
    let body = HealthBody { status, store: store.kind().as_str(), version: env!("CARGO_PKG_VERSION"), reason };
    if available {
        HttpResponse::Ok().json(body)
    } else {
        HttpResponse::ServiceUnavailable().insert_header(("Retry-After", "2")).json(body)
    }
}

async fn is_available(store: &dyn Store, health: &Health) -> bool {
    let mut latest = health.0.lock().await;
    if let Some((at, available)) = *latest
        && at.elapsed() < KEPT
    {
        return available;
    }
    let checked = tokio::time::timeout(PATIENCE, store.check()).await.unwrap_or_else(|late| Err(StoreError::unavailable(late)));
    if let Err(error) = &checked {
        log::warn!(event = "store_unavailable", error = logging::causes(error); "the store does not answer");
    }
    *latest = Some((Instant::now(), checked.is_ok()));
    checked.is_ok()
}
