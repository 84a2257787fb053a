//! Long polls: a request that asks to wait (`Prefer: wait`) is answered as soon as there is news, or with what it had.

use std::time::Duration;

use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponseBuilder, web};

use super::place::{Seen, Waking};
use super::waiting_room::{Waiter, WaitingRoom};
use crate::http::{ApiError, Capacity, Deadline, ErrorCode, Wait};
use crate::identity::Bearer;
use crate::rate_limits::Turn;
use crate::store::Store;

/// How much longer than its wait a poll may take: two looks at the store.
const GRACE: Duration = Duration::from_secs(5);

/// What a look at the store has brought.
pub(super) trait Look {
    /// Whether the client has not seen it yet.
    fn is_news(&self) -> bool;

    /// What the client has seen once this is answered; taken out, since whoever waits keeps it once.
    fn seen(&mut self) -> Seen;
}

/// A request that waits. It has its place in the waiting room from the beginning, before the first look.
pub(super) struct Poll {
    request: HttpRequest,
    waiter: Waiter,
    wait: Wait,
}

impl Poll {
    /// Takes a place for a request, if it asks to wait, for somebody who has seen so much. A HEAD never waits: it brings no news.
    pub(super) fn begin(request: &HttpRequest, bearer: &Bearer, seen: Seen) -> Result<Option<Self>, ApiError> {
        let preferred = Wait::preferred(request.headers()).filter(|_| request.method() != Method::HEAD);
        let Some(wait) = preferred else { return Ok(None) };
        let room = request.app_data::<web::Data<WaitingRoom>>();
        let room = room.ok_or_else(|| ApiError::caused(ErrorCode::Internal, "the application lacks its waiting room"))?;
        let waiter = room.enter(*bearer.session_key(), seen, wait.duration())?;
        Deadline::put_off(request, wait.duration() + GRACE);
        Ok(Some(Self { request: request.clone(), waiter, wait }))
    }

    /// Looks again whenever there may be news, until there is. Gives the last look, which is not news when the time is up.
    pub(super) async fn until_news<L: Look>(
        &self,
        first: L,
        bearer: &Bearer,
        store: &dyn Store,
        look: impl AsyncFn() -> Result<L, ApiError>,
    ) -> Result<L, ApiError> {
        let mut latest = first;
        while !latest.is_news() {
            self.waiter.note(latest.seen());
            let waking = self.wait().await;
            if waking == Waking::End {
                break;
            }
            latest = look_before_session(&bearer.at_present(), store, &look).await?;
            if waking == Waking::LastLook {
                break;
            }
        }
        Ok(latest)
    }

    /// Who waits is not in work; who is woken to look again is, when there is a place.
    async fn wait(&self) -> Waking {
        Capacity::give_back(&self.request);
        Turn::give_back(&self.request);
        let waking = self.waiter.wait().await;
        if waking != Waking::End {
            Capacity::wait_for_place(&self.request).await;
        }
        waking
    }

    /// Tells the client that it was heard.
    pub(super) fn tell(&self, response: &mut HttpResponseBuilder) {
        response.insert_header((Wait::APPLIED, self.wait.applied()));
    }
}

/// The first look of a request, which somebody with a live session gets. Both are read at once, unless the request waits.
pub(super) async fn first_look<L>(
    poll: Option<&Poll>,
    bearer: &Bearer,
    store: &dyn Store,
    look: impl AsyncFn() -> Result<L, ApiError>,
) -> Result<L, ApiError> {
    if poll.is_some() {
        return look_before_session(bearer, store, &look).await;
    }
    let session = async { Ok(store.find_session(bearer.session_key()).await?) };
    let (found, first) = futures_util::try_join!(session, look())?;
    bearer.admit(found).map(|()| first)
}

/// A look, and then whether the session is live: what the look has brought was there before that, so that nobody who waits gets what
/// is newer than the end of their session.
async fn look_before_session<L>(bearer: &Bearer, store: &dyn Store, look: &impl AsyncFn() -> Result<L, ApiError>) -> Result<L, ApiError> {
    let latest = look().await?;
    bearer.admit(store.find_session(bearer.session_key()).await?)?;
    Ok(latest)
}
