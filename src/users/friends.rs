//! `/api/users/friends`: the caller's address book. One-sided; it lets a friend write and see the caller's presence.

use actix_web::web;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::{Timestamp, UserId};
use crate::http::{ApiError, ErrorCode, Fields, Json, Message, PublicUser, RequestBody, at_most};
use crate::identity::{Actor, Audit, Bearer};
use crate::store::{Friend, FriendAddition, MAX_FRIENDS, Store};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct FriendBody {
    #[schema(required, value_type = UserId)]
    friend_id: Option<String>,
}

impl RequestBody for FriendBody {
    fn ids(&mut self) -> Vec<(&'static str, &mut Option<String>)> {
        vec![("friendId", &mut self.friend_id)]
    }
}

impl FriendBody {
    fn check(self) -> Result<UserId, ApiError> {
        let mut fields = Fields::new();
        let friend = fields.required("friendId", self.friend_id, |text| UserId::parse(&text).ok_or("is not the id of a user"));
        fields.finish_with(|| friend)
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct FriendList {
    #[schema(schema_with = at_most::<FriendEntry, MAX_FRIENDS>)]
    friends: Vec<FriendEntry>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Friend)]
pub(super) struct FriendEntry {
    #[serde(flatten)]
    user: PublicUser,
    /// Whether they have added the caller too.
    mutual: bool,
    added_at: Timestamp,
}

#[utoipa::path(
    get,
    path = "/api/users/friends",
    summary = "List friends",
    description = "The caller's address book.",
    responses((status = 200, description = "The friends.", body = FriendList))
)]
pub(super) async fn list_friends(bearer: Bearer, store: web::Data<dyn Store>) -> Result<web::Json<FriendList>, ApiError> {
    let now = bearer.now();
    let friends = bearer.admit(store.list_friends(bearer.session_key(), now).await?)?;
    let entry = |friend: &Friend| FriendEntry {
        user: PublicUser::new(&friend.person, now),
        mutual: friend.person.has_added_caller,
        added_at: friend.added_at,
    };
    Ok(web::Json(FriendList { friends: friends.iter().map(entry).collect() }))
}

#[utoipa::path(
    post,
    path = "/api/users/friends",
    summary = "Add a friend",
    description = "Adds somebody to the caller's address book, which lets them see when the caller is there, and write to a caller who takes \
        messages from friends only. Adding twice changes nothing.",
    request_body = FriendBody,
    responses((status = 200, description = "The person is a friend.", body = Message))
)]
pub(super) async fn add_friend(
    bearer: Bearer,
    store: web::Data<dyn Store>,
    audit: Audit,
    Json(body): Json<FriendBody>,
) -> Result<web::Json<Message>, ApiError> {
    let friend = body.check()?;
    let found = bearer.admit(store.find_peer(bearer.session_key(), friend).await?)?;
    if friend == bearer.user() {
        return Err(ApiError::field("friendId", "must not be yourself"));
    }
    let peer = found.ok_or(ErrorCode::UserNotFound)?;
    if peer.has_blocked_caller {
        audit.note_about("friend_refused", &Actor::User(bearer.user()), &friend);
        return Err(ErrorCode::Blocked.into());
    }
    match store.add_friend(bearer.user(), friend, bearer.now()).await? {
        FriendAddition::Added | FriendAddition::AlreadyFriend => Ok(Message::new("Friend added successfully")),
        FriendAddition::Blocked => Err(ErrorCode::Blocked.into()),
        FriendAddition::LimitReached => Err(ErrorCode::FriendLimit.into()),
        // It was deleted after the session was looked at.
        FriendAddition::NoAccount => Err(ErrorCode::Unauthorized.into()),
    }
}

#[utoipa::path(
    delete,
    path = "/api/users/friends",
    summary = "Remove a friend",
    description = "Removes somebody from the caller's address book.",
    params(("friendId" = Option<UserId>, Query, description = "Instead of a body, which some proxies and clients drop.")),
    request_body = FriendBody,
    responses((status = 200, description = "The person is not a friend any more.", body = Message))
)]
pub(super) async fn remove_friend(
    bearer: Bearer,
    store: web::Data<dyn Store>,
    Json(body): Json<FriendBody>,
) -> Result<web::Json<Message>, ApiError> {
    let friend = body.check()?;
    bearer.admit(store.find_session(bearer.session_key()).await?)?;
    if store.remove_friend(bearer.user(), friend).await? {
        Ok(Message::new("Friend removed successfully"))
    } else {
        Err(ErrorCode::NotAFriend.into())
    }
}
