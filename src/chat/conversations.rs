//! `GET /api/chat/conversations`: the caller's chats, the one with the newest message first.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::{IntoParams, ToSchema};

use super::place::{Seen, SeenChats};
use super::poll::{Look, Poll, first_look};
use crate::domain::{ChatId, Timestamp};
use crate::http::{
    ApiError, Fields, KnownTags, MAX_PAGE_ENTRIES, MessageBody, PublicUser, Query, Room, Tagged, Wait, at_most, cut_page, decode_cursor,
    limit_parameter, optional, take_limit, text_schema,
};
use crate::identity::Bearer;
use crate::store::{ChatProgress, Conversation, ConversationCursor, Store};

/// Conversations, the one with the newest message first.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ConversationPage {
    #[schema(schema_with = at_most::<ConversationBody, MAX_PAGE_ENTRIES>)]
    conversations: Vec<ConversationBody>,
    /// There when there are more: give it as `before`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, examples("AAABmb…"))]
    next_before: Option<String>,
}

/// A chat as the caller sees it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Conversation)]
pub(super) struct ConversationBody {
    chat_id: ChatId,
    /// The other person.
    user: PublicUser,
    last_message: MessageBody,
    /// The number of the newest message.
    #[schema(minimum = 1, examples(42))]
    last_seq: u64,
    /// How far the caller has read.
    #[schema(examples(40))]
    read_seq: u64,
    /// How far the other has read.
    #[schema(examples(42))]
    peer_read_seq: u64,
    /// Messages that the caller has not read.
    #[schema(examples(2))]
    unread: u64,
}

/// What part of the list the query asks for.
struct Paging {
    before: Option<ConversationCursor>,
    limit: usize,
}

impl IntoParams for Paging {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let cursor = text_schema("A `nextBefore`.", "AAABmb…");
        vec![optional("before", ParameterIn::Query, cursor, "The `nextBefore` of the page before."), limit_parameter()]
    }
}

/// A page as it is answered, and as far as the chats on it had got. Of a page that the client has nothing is kept but its tag.
struct PageLook {
    page: Tagged,
    seen: SeenChats,
}

impl Look for PageLook {
    fn is_news(&self) -> bool {
        self.page.is_news()
    }

    fn seen(&mut self) -> Seen {
        Seen::Conversations(std::mem::take(&mut self.seen))
    }
}

#[utoipa::path(
    get,
    path = "/api/chat/conversations",
    summary = "List conversations",
    description = "The caller's chats, the one with the newest message first. With `If-None-Match` the request may wait (`Prefer`) until the list is \
        another one.",
    params(Paging, KnownTags, Wait),
    responses(
        (
            status = 200,
            description = "The conversations.",
            body = ConversationPage,
            headers(
                ("ETag" = String, description = "The tag of this list."),
                ("Preference-Applied" = String, description = "`wait=N` when the request waited, or would have.")
            )
        ),
        (
            status = 304,
            description = "The client has this list.",
            headers(
                ("ETag" = String, description = "The tag of this list."),
                ("Preference-Applied" = String, description = "`wait=N` when the request waited.")
            )
        ),
    )
)]
pub(super) async fn list_conversations(
    request: HttpRequest,
    bearer: Bearer,
    store: web::Data<dyn Store>,
) -> Result<HttpResponse, ApiError> {
    let Paging { before, limit } = check(request.query_string())?;
    let (store, known) = (store.get_ref(), KnownTags::of(&request));
    // A client that has no list yet has nothing to wait for.
    let poll = if known.is_some() { Poll::begin(&request, &bearer, Seen::Conversations(SeenChats::default()))? } else { None };
    let look = async || {
        let now = bearer.at_present().now();
        // One more than the page holds tells whether there is another page.
        let list = store.list_conversations(bearer.user(), before.as_ref(), limit + 1, now).await?;
        PageLook::new(list, limit, known.as_ref(), &bearer, now)
    };
    let mut latest = first_look(poll.as_ref(), &bearer, store, &look).await?;
    if let Some(poll) = &poll {
        latest = poll.until_news(latest, &bearer, store, look).await?;
    }
    Ok(latest.page.respond(|response| poll.iter().for_each(|poll| poll.tell(response))))
}

fn check(query: &str) -> Result<Paging, ApiError> {
    let mut query = Query::parse(query, &["before", "limit"])?;
    let mut fields = Fields::new();
    let limit = take_limit(&mut query, &mut fields);
    let before = fields.optional("before", query.take("before"), |text| decode_cursor(&text).ok_or("is not a nextBefore of this list"));
    fields.finish()?;
    Ok(Paging { before: before.map(ConversationCursor::from), limit })
}

impl PageLook {
    /// `list` may hold one conversation more than asked for.
    fn new(list: Vec<Conversation>, limit: usize, known: Option<&KnownTags>, reader: &Bearer, now: Timestamp) -> Result<Self, ApiError> {
        let progress: Vec<ChatProgress> = list.iter().map(Conversation::progress).collect();
        let body_of = |conversation| ConversationBody::new(conversation, now);
        let (conversations, next_before) = cut_page(list, limit, Room::after(0), |conversation| &conversation.last_message, body_of)?;
        let seen = SeenChats::of(reader.user(), &progress[..conversations.len()]);
        let page = Tagged::new(&ConversationPage { conversations, next_before })?.unless_known(known);
        Ok(Self { page, seen })
    }
}

impl ConversationBody {
    fn new(conversation: Conversation, now: Timestamp) -> Self {
        let (last_seq, read_seq) = (conversation.last_message.seq, conversation.read_seq);
        Self {
            chat_id: conversation.chat(),
            user: conversation.peer.as_ref().map_or_else(|| PublicUser::deleted(conversation.peer_id()), |peer| PublicUser::new(peer, now)),
            last_seq,
            read_seq,
            peer_read_seq: conversation.peer_read_seq,
            unread: last_seq.saturating_sub(read_seq),
            last_message: conversation.last_message.into(),
        }
    }
}
