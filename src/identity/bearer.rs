//! The bearer check, in two steps: the token's signature before anything else, without I/O; then the session, in the
//! same store read that brings what the route needs.

use std::future::{Ready, ready};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header::AUTHORIZATION;
use actix_web::middleware::Next;
use actix_web::{Error, FromRequest, HttpMessage as _, HttpRequest, web};

use super::Tokens;
use crate::domain::{Clock, Session, SessionKey, Timestamp, UserId};
use crate::http::{ApiError, ErrorCode, Traffic};
use crate::logging;
use crate::rate_limits::{Payer, count_and_pass, count_and_refuse};
use crate::store::{Authenticated, Store};

/// A request whose token is genuine. Whose session it names may have ended: [`admit`](Self::admit) tells.
#[derive(Clone)]
pub struct Bearer {
    key: SessionKey,
    clock: Clock,
    now: Timestamp,
    store: web::Data<dyn Store>,
}

/// Who an admitted request is from, for the log line.
#[derive(Debug, Clone, Copy)]
pub struct Caller(pub UserId);

impl Bearer {
    /// What to look the session up by.
    #[must_use]
    pub fn session_key(&self) -> &SessionKey {
        &self.key
    }

    /// Whose session it is, if it is live.
    #[must_use]
    pub fn user(&self) -> UserId {
        self.key.user
    }

    /// When the request came.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The same caller at the present, for a request that has waited.
    #[must_use]
    pub fn at_present(&self) -> Self {
        Self { now: self.clock.now(), ..self.clone() }
    }

    /// Hands out what was read for this request if the session is live, and has its use noted behind the answer.
    ///
    /// Every handler for holders of a token passes through here before it acts.
    pub fn admit<T>(&self, found: Option<Authenticated<T>>) -> Result<T, ApiError> {
        self.admit_with_session(found).map(|(_session, record)| record)
    }

    /// The same with the session, where its age matters.
    pub fn admit_with_session<T>(&self, found: Option<Authenticated<T>>) -> Result<(Session, T), ApiError> {
        let Some(Authenticated { session, record }) = found.filter(|found| found.session.is_live(self.now)) else {
            return Err(unauthorized(true));
        };
        if session.is_touch_due(self.now) {
            self.note_use();
        }
        Ok((session, record))
    }

    /// Whose session a request to an open route carries, if it carries a genuine token.
    #[must_use]
    pub fn of_open_route(request: &HttpRequest) -> Option<Self> {
        identify(request).ok()
    }

    fn note_use(&self) {
        let Self { key, now, store, .. } = self.clone();
        tokio::spawn(async move {
            if let Err(error) = store.touch_session(&key, now).await {
                log::warn!(event = "session_not_touched", error = logging::causes(&error); "the use of a session was not noted");
            }
        });
    }
}

impl FromRequest for Bearer {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        // Put there by `require_bearer`; an endpoint without that guard that asks for a bearer answers 401.
        ready(request.extensions().get::<Self>().cloned().ok_or_else(|| unauthorized(false)))
    }
}

/// The guard before every endpoint that is not open: lets a request pass only with a genuine token. It counts as
/// `traffic` of that token's owner; one that is refused counts as anonymous.
pub async fn require_bearer(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
    traffic: Option<Traffic>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    match identify(request.request()) {
        Ok(bearer) => {
            let payer = Payer::User(bearer.user());
            request.extensions_mut().insert(Caller(bearer.user()));
            request.extensions_mut().insert(bearer);
            count_and_pass(request, next, traffic, payer).await
        }
        Err(refusal) => Ok(count_and_refuse(request, refusal)),
    }
}

fn identify(request: &HttpRequest) -> Result<Bearer, ApiError> {
    let part = |name| ApiError::caused(ErrorCode::Internal, format!("the application lacks its {name}"));
    let tokens = request.app_data::<web::Data<Tokens>>().ok_or_else(|| part("tokens"))?;
    let clock = request.app_data::<web::Data<Clock>>().ok_or_else(|| part("clock"))?;
    let store = request.app_data::<web::Data<dyn Store>>().ok_or_else(|| part("store"))?;
    let now = clock.now();
    let token = sent_token(request)?.ok_or_else(|| unauthorized(false))?;
    let key = tokens.verify(token, now).ok_or_else(|| unauthorized(true))?;
    Ok(Bearer { key, clock: clock.get_ref().clone(), now, store: store.clone() })
}

/// The token in the `Authorization` header, and nowhere else. Several headers are refused, also when a proxy has joined
/// them by a comma: which of them counts must not depend on who reads.
fn sent_token(request: &HttpRequest) -> Result<Option<&str>, ApiError> {
    let mut headers = request.headers().get_all(AUTHORIZATION);
    let Some(header) = headers.next() else { return Ok(None) };
    let text = header.to_str().unwrap_or_default();
    if headers.next().is_some() || text.contains(',') {
        return Err(ErrorCode::InvalidRequest.into());
    }
    let token = text.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
    // Another scheme is a token we cannot accept.
    Ok(Some(token.unwrap_or_default()))
}

fn unauthorized(token_sent: bool) -> ApiError {
    ApiError { token_sent, ..ErrorCode::Unauthorized.into() }
}
