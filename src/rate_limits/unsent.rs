//! Answers that their clients have not taken yet: how many bytes of them are kept, in all and for one payer, and how many are made at
//! once.
//!
//! An answer that is small enough for the buffer that each connection has anyway is not counted. A larger one is, whole, until its
//! last piece has been handed on; it goes out in pieces that never make that buffer grow.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::ServiceResponse;
use actix_web::web::Bytes;
use actix_web::{HttpMessage as _, HttpRequest};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::Payer;
use crate::http::{ApiError, Capacity, ErrorCode, UnreadAnswers};

/// Bytes kept in a process.
const MOST_IN_ALL: usize = 64 * 1024 * 1024;
/// Bytes kept for one payer.
const MOST_OF_PAYER: usize = 4 * 1024 * 1024;
/// So much must be free before an answer is made: as much as the largest one.
const ROOM_BYTES: usize = 512 * 1024;
/// Answers that are made at once for one payer; until they are measured they may take more than what is sent of them. Others wait.
const TURNS: usize = 8;
/// An answer is handed on in pieces of so many bytes. With [`BUFFERED_BYTES`] a piece fits into the 8 KiB that the framework has for
/// each connection; a larger buffer would stay with the connection as long as it is open.
const PIECE_BYTES: usize = 6 * 1024;
/// The framework asks for the next piece when less than this is left to be written.
pub const BUFFERED_BYTES: usize = 2 * 1024;
/// In this time an answer is to be taken whole. Who takes a little now and then would else keep its bytes for hours.
const DEADLINE: Duration = Duration::from_mins(2);

/// What is kept. Clones are one.
#[derive(Clone, Default)]
pub(super) struct Unsent(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    in_all: usize,
    by_payer: HashMap<Payer, Account>,
}

struct Account {
    bytes: usize,
    turns: Arc<Semaphore>,
}

/// Bytes that are counted until it is dropped.
struct Counted {
    unsent: Unsent,
    payer: Payer,
    bytes: usize,
}

/// The turn of a payer to have an answer made, kept with its request.
pub struct Turn {
    unsent: Unsent,
    payer: Payer,
    permit: Option<OwnedSemaphorePermit>,
}

/// The body of an answer that is counted.
struct CountedBody {
    rest: Bytes,
    until: Instant,
    _counted: Counted,
}

impl Turn {
    /// Ends the turn of a request that waits for news, for which nothing is made meanwhile.
    pub fn give_back(request: &HttpRequest) {
        request.extensions_mut().remove::<Self>();
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        drop(self.permit.take());
        self.unsent.with_kept(|kept| kept.forget_if_idle(self.payer));
    }
}

impl Unsent {
    /// Refuses a request when there is no room for an answer, before anything is done for it.
    pub(super) fn admit(&self, payer: Payer) -> Result<(), ApiError> {
        if self.with_kept(|kept| kept.has_room(payer, ROOM_BYTES)) { Ok(()) } else { Err(refusal()) }
    }

    /// Waits for a turn of the payer's. A request that waits is not in work.
    pub(super) async fn wait_for_turn(&self, request: &HttpRequest, payer: Payer) {
        let turns = self.with_kept(|kept| Arc::clone(&kept.account(payer).turns));
        let mut turn = Turn { unsent: self.clone(), payer, permit: Arc::clone(&turns).try_acquire_owned().ok() };
        if turn.permit.is_none() {
            Capacity::give_back(request);
            // The turns are never closed.
            turn.permit = turns.acquire_owned().await.ok();
            Capacity::wait_for_place(request).await;
        } else {
            drop(turns);
        }
        request.extensions_mut().insert(turn);
    }

    /// Counts an answer until it has been taken; refuses one that there is no room for, unless it tells of a change that was made.
    pub(super) fn hold(&self, answer: ServiceResponse<BoxBody>, payer: Payer) -> ServiceResponse<BoxBody> {
        let (request, response) = answer.into_parts();
        let (response, body) = response.into_parts();
        let body = match body.try_into_bytes() {
            Ok(bytes) if bytes.len() > PIECE_BYTES => bytes,
            Ok(small) => return ServiceResponse::new(request, response.set_body(BoxBody::new(small))),
            Err(stream) => return ServiceResponse::new(request, response.set_body(stream)),
        };
        match self.count(payer, body.len(), request.method().is_safe()) {
            Some(counted) => {
                let body = CountedBody { rest: body, until: Instant::now() + DEADLINE, _counted: counted };
                ServiceResponse::new(request, response.set_body(BoxBody::new(body)))
            }
            None => ServiceResponse::from_err(refusal(), request),
        }
    }

    fn count(&self, payer: Payer, bytes: usize, may_refuse: bool) -> Option<Counted> {
        let is_counted = self.with_kept(|kept| {
            let has_room = kept.has_room(payer, bytes) || !may_refuse;
            if has_room {
                kept.in_all += bytes;
                kept.account(payer).bytes += bytes;
            }
            has_room
        });
        is_counted.then(|| Counted { unsent: self.clone(), payer, bytes })
    }

    /// A panic elsewhere leaves it whole.
    fn with_kept<T>(&self, look: impl FnOnce(&mut Kept) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Kept {
    fn has_room(&self, payer: Payer, bytes: usize) -> bool {
        let of_payer = self.by_payer.get(&payer).map_or(0, |account| account.bytes);
        self.in_all + bytes <= MOST_IN_ALL && of_payer + bytes <= MOST_OF_PAYER
    }

    fn account(&mut self, payer: Payer) -> &mut Account {
        self.by_payer.entry(payer).or_insert_with(|| Account { bytes: 0, turns: Arc::new(Semaphore::new(TURNS)) })
    }

    fn forget_if_idle(&mut self, payer: Payer) {
        // Whoever has a turn or waits for one has the turns too.
        if self.by_payer.get(&payer).is_some_and(|account| account.bytes == 0 && Arc::strong_count(&account.turns) == 1) {
            self.by_payer.remove(&payer);
        }
    }
}

fn refusal() -> ApiError {
    ApiError::caused(ErrorCode::Overloaded, UnreadAnswers)
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.unsent.with_kept(|kept| {
            kept.in_all -= self.bytes;
            kept.account(self.payer).bytes -= self.bytes;
            kept.forget_if_idle(self.payer);
        });
    }
}

impl MessageBody for CountedBody {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.rest.len() as u64)
    }

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        if Instant::now() > self.until {
            return Poll::Ready(Some(Err("the answer was not taken in time".into())));
        }
        let piece = self.rest.len().min(PIECE_BYTES);
        Poll::Ready(Some(Ok(self.rest.split_to(piece))))
    }
}

#[cfg(test)]
mod tests {
    use actix_web::HttpResponse;
    use actix_web::http::{Method, StatusCode};
    use actix_web::test::TestRequest;

    use super::*;
    use crate::domain::UserId;

    const PAGE: usize = 512 * 1024;

    fn somebody() -> Payer {
        Payer::User(UserId::generate())
    }

    /// An answer of so many bytes, as it is after it was counted.
    fn answer(unsent: &Unsent, payer: Payer, method: Method, bytes: usize) -> ServiceResponse<BoxBody> {
        let request = TestRequest::default().method(method).to_http_request();
        unsent.hold(ServiceResponse::new(request, HttpResponse::Ok().body(vec![b'x'; bytes])), payer)
    }

    fn page(unsent: &Unsent, payer: Payer) -> Option<ServiceResponse<BoxBody>> {
        Some(answer(unsent, payer, Method::GET, PAGE)).filter(|answer| answer.status() == StatusCode::OK)
    }

    #[test]
    fn one_payer_has_4_mib_and_all_have_64() {
        let (unsent, ann) = (Unsent::default(), somebody());
        let of_ann: Vec<_> = std::iter::from_fn(|| page(&unsent, ann)).collect();
        assert_eq!(of_ann.len() * PAGE, MOST_OF_PAYER);
        assert!(unsent.admit(ann).is_err() && unsent.admit(somebody()).is_ok());
        let of_others: Vec<_> = std::iter::from_fn(|| page(&unsent, somebody())).collect();
        assert_eq!((of_ann.len() + of_others.len()) * PAGE, MOST_IN_ALL);
        assert!(unsent.admit(somebody()).is_err());
        drop((of_ann, of_others));
        assert!(unsent.with_kept(|kept| kept.in_all == 0 && kept.by_payer.is_empty()), "what was taken leaves nothing");
    }

    #[actix_web::test]
    async fn answers_of_one_payer_are_made_by_turns_and_nobody_else_waits() {
        let (unsent, ann) = (Unsent::default(), somebody());
        let requests: Vec<_> = (0..=TURNS).map(|_| TestRequest::default().to_http_request()).collect();
        for request in &requests[..TURNS] {
            unsent.wait_for_turn(request, ann).await;
        }
        let mut next = Box::pin(unsent.wait_for_turn(&requests[TURNS], ann));
        assert!(futures_util::poll!(&mut next).is_pending());
        unsent.wait_for_turn(&TestRequest::default().to_http_request(), somebody()).await;
        Turn::give_back(&requests[0]);
        next.await;
        let mut given_up = Box::pin(unsent.wait_for_turn(&requests[0], ann));
        assert!(futures_util::poll!(&mut given_up).is_pending());
        drop(given_up);
        drop(requests);
        assert!(unsent.with_kept(|kept| kept.by_payer.is_empty()), "who is served leaves nothing");
    }

    #[test]
    fn what_was_changed_is_told_and_what_is_small_is_not_counted() {
        let (unsent, ann) = (Unsent::default(), somebody());
        let _unread: Vec<_> = std::iter::from_fn(|| page(&unsent, ann)).collect();
        for (method, bytes, status) in [
            (Method::GET, PIECE_BYTES, StatusCode::OK),
            (Method::GET, PIECE_BYTES + 1, StatusCode::SERVICE_UNAVAILABLE),
            (Method::POST, PIECE_BYTES + 1, StatusCode::OK),
        ] {
            assert_eq!(answer(&unsent, ann, method.clone(), bytes).status(), status, "{method} {bytes}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_taken_in_pieces_and_in_time() {
        let unsent = Unsent::default();
        let mut body = answer(&unsent, somebody(), Method::GET, PAGE).into_body();
        let mut next = async || std::future::poll_fn(|context| Pin::new(&mut body).poll_next(context)).await;
        for _ in 0..PAGE / PIECE_BYTES {
            assert_eq!(next().await.expect("a piece").expect("in time").len(), PIECE_BYTES);
        }
        tokio::time::advance(DEADLINE + Duration::from_millis(1)).await;
        assert!(next().await.expect("what is left").is_err());
    }
}
