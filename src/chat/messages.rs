//! `GET /api/chat/messages`: what was said, in one chat by number, or over all chats by time.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::{IntoParams, PartialSchema as _, ToSchema};

use super::place::Seen;
use super::poll::{Look, Poll, first_look};
use crate::domain::{ChatId, UserId};
use crate::http::{
    ApiError, ErrorCode, Fields, MAX_PAGE_ENTRIES, MessageBody, Query, Room, Wait, at_most, cut_page, decode_cursor, fill_page,
    limit_parameter, optional, reference, take_limit,
};
use crate::identity::Bearer;
use crate::store::{Message, MessageCursor, Store, Window};

/// What the query asks for.
enum Selection {
    /// One chat, named by itself or by the other person.
    OneChat(OneChat),
    /// All chats of the caller.
    AllChats { before: Option<MessageCursor> },
    /// A chat that the caller cannot have: with themselves, or of two other people.
    NoChat { by_chat_id: bool },
}

struct OneChat {
    chat: ChatId,
    window: Window,
    by_chat_id: bool,
}

/// Messages, oldest first.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct MessagePage {
    #[schema(schema_with = at_most::<MessageBody, MAX_PAGE_ENTRIES>)]
    messages: Vec<MessageBody>,
    /// There when there are older ones: give it as `before`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = NextBefore, required = false)]
    next_before: Option<NextBefore>,
}

/// In one chat a number, over all chats an opaque cursor.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum NextBefore {
    Seq(u64),
    Cursor(String),
}

impl IntoParams for Selection {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let before = "Messages before this number in one chat; over all chats, before the `nextBefore` of the page before.";
        vec![
            optional("with", ParameterIn::Query, reference::<UserId>(), "The chat with this person."),
            optional("chatId", ParameterIn::Query, reference::<ChatId>(), "This chat."),
            optional("before", ParameterIn::Query, reference::<NextBefore>(), before),
            optional("after", ParameterIn::Query, u64::schema(), "Messages behind this number in one chat."),
            limit_parameter(),
        ]
    }
}

/// A part of a chat as it is at some moment.
struct ChatLook {
    chat: ChatId,
    window: Window,
    page: Vec<Message>,
}

impl Look for ChatLook {
    fn is_news(&self) -> bool {
        !self.page.is_empty()
    }

    fn seen(&mut self) -> Seen {
        seen(self.chat, self.window)
    }
}

/// What a client has seen of a chat that asks for a part of it.
fn seen(chat: ChatId, window: Window) -> Seen {
    let up_to = if let Window::After(seq) = window { seq } else { 0 };
    Seen::Messages { chat, up_to }
}

#[utoipa::path(
    get,
    path = "/api/chat/messages",
    summary = "List messages",
    description = "The newest messages over all chats; of one chat with `with` or `chatId`, by their numbers. A client that has read up to `seq` asks \
        for what is `after` it and misses nothing. With `after` the request may wait (`Prefer`).",
    params(Selection, Wait),
    responses((
        status = 200,
        description = "Messages, oldest first.",
        body = MessagePage,
        headers(("Preference-Applied" = String, description = "`wait=N` when the request waited, or would have."))
    ))
)]
pub(super) async fn list_messages(request: HttpRequest, bearer: Bearer, store: web::Data<dyn Store>) -> Result<HttpResponse, ApiError> {
    let (selection, limit) = check(request.query_string(), bearer.user())?;
    let store = store.get_ref();
    match selection {
        Selection::OneChat(selection) => list_of_chat(&request, &bearer, store, &selection, limit).await,
        Selection::AllChats { before } => {
            // One more than the page holds tells whether there is another page.
            let listed = store.list_messages(bearer.user(), before.as_ref(), limit + 1);
            let (found, page) = futures_util::try_join!(store.find_session(bearer.session_key()), listed)?;
            bearer.admit(found)?;
            Ok(HttpResponse::Ok().json(page_over_all_chats(page, limit)?))
        }
        Selection::NoChat { by_chat_id } => {
            bearer.admit(store.find_session(bearer.session_key()).await?)?;
            let nothing = chat_page(Vec::new(), Window::Newest)?;
            if by_chat_id { Err(ErrorCode::ChatNotFound.into()) } else { Ok(HttpResponse::Ok().json(nothing)) }
        }
    }
}

async fn list_of_chat(
    request: &HttpRequest,
    bearer: &Bearer,
    store: &dyn Store,
    &OneChat { chat, window, by_chat_id }: &OneChat,
    limit: usize,
) -> Result<HttpResponse, ApiError> {
    // What is behind the messages that a client has may be waited for; the rest is there or is not.
    let poll = if matches!(window, Window::After(_)) { Poll::begin(request, bearer, seen(chat, window))? } else { None };
    let look = async || Ok(ChatLook { chat, window, page: store.list_chat_messages(chat, window, limit).await? });
    let mut latest = first_look(poll.as_ref(), bearer, store, &look).await?;
    if latest.page.is_empty() && by_chat_id && store.find_chat_head(chat).await?.is_none() {
        return Err(ErrorCode::ChatNotFound.into());
    }
    if let Some(poll) = &poll {
        latest = poll.until_news(latest, bearer, store, look).await?;
    }
    let mut response = HttpResponse::Ok();
    if let Some(poll) = &poll {
        poll.tell(&mut response);
    }
    Ok(response.json(chat_page(latest.page, window)?))
}

fn check(query: &str, caller: UserId) -> Result<(Selection, usize), ApiError> {
    let mut query = Query::parse(query, &["with", "chatId", "before", "after", "limit"])?;
    let mut fields = Fields::new();
    let limit = take_limit(&mut query, &mut fields);
    let selection = match (query.take("with"), query.take("chatId")) {
        (None, None) => all_chats(&mut query, &mut fields),
        (with, chat_id) => one_chat(with, chat_id, caller, &mut query, &mut fields),
    };
    fields.finish()?;
    Ok((selection, limit))
}

fn all_chats(query: &mut Query, fields: &mut Fields) -> Selection {
    if query.take("after").is_some() {
        fields.wrong("after", "needs with or chatId");
    }
    let before = fields.optional("before", query.take("before"), |text| decode_cursor(&text).ok_or("is not a nextBefore of this list"));
    Selection::AllChats { before }
}

fn one_chat(with: Option<String>, chat_id: Option<String>, caller: UserId, query: &mut Query, fields: &mut Fields) -> Selection {
    if with.is_some() && chat_id.is_some() {
        fields.wrong("chatId", "must not be given together with with");
    }
    let by_chat_id = chat_id.is_some();
    let peer = fields.optional("with", with, |text| UserId::parse(&text).ok_or("is not the id of a user"));
    let chat = fields.optional("chatId", chat_id, |text| ChatId::parse(&text).ok_or("is not the id of a chat"));
    let window = window(query, fields);
    let chat = chat.or_else(|| peer.and_then(|peer| ChatId::between(caller, peer))).filter(|chat| chat.peer_of(caller).is_some());
    chat.map_or(Selection::NoChat { by_chat_id }, |chat| Selection::OneChat(OneChat { chat, window, by_chat_id }))
}

fn window(query: &mut Query, fields: &mut Fields) -> Window {
    let (before, after) = (query.take("before"), query.take("after"));
    if before.is_some() && after.is_some() {
        fields.wrong("after", "must not be given together with before");
    }
    let before = fields.optional("before", before, |text| parse_seq(&text)).map(Window::Before);
    let after = fields.optional("after", after, |text| parse_seq(&text)).map(Window::After);
    before.or(after).unwrap_or(Window::Newest)
}

fn parse_seq(text: &str) -> Result<u64, &'static str> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let seq = text.parse::<i64>().ok().filter(|_| digits);
    seq.and_then(|seq| u64::try_from(seq).ok()).ok_or("must be the number of a message")
}

/// `page` ascends. Numbers have no gap and begin at 1, so a lowest number above 1 means that there is more.
fn chat_page(page: Vec<Message>, window: Window) -> Result<MessagePage, ApiError> {
    if matches!(window, Window::After(_)) {
        return Ok(MessagePage { messages: fill_page(page)?, next_before: None });
    }
    let mut messages = fill_page(page.into_iter().rev())?;
    messages.reverse();
    let next_before = messages.first().map(MessageBody::seq).filter(|seq| *seq > 1).map(NextBefore::Seq);
    Ok(MessagePage { messages, next_before })
}

/// `list` descends and may hold one more message than asked for.
fn page_over_all_chats(list: Vec<Message>, limit: usize) -> Result<MessagePage, ApiError> {
    let (mut messages, next) = cut_page(list, limit, Room::after(0), |message| message, MessageBody::from)?;
    messages.reverse();
    Ok(MessagePage { messages, next_before: next.map(NextBefore::Cursor) })
}
