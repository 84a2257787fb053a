//! The User service: profiles, friends, blocks, search, and everything that is kept of a person.

mod account;
mod address;
mod blocks;
mod export;
mod friends;
mod profile;
mod search;

use actix_web::http::Method;

use utoipa::OpenApi;

use crate::http::{Endpoint, ErrorCode, Traffic};

/// What the service offers.
#[must_use]
pub fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new(Method::GET, "/api/users/profile", profile::get_profile),
        Endpoint::new(Method::PUT, "/api/users/profile", profile::update_profile).failing(&[
            ErrorCode::UsernameTaken,
            ErrorCode::EmailTaken,
            ErrorCode::OwnRecoveryAddress,
            ErrorCode::TooManyChanges,
            ErrorCode::PasswordRequired,
            ErrorCode::WrongPassword,
        ]),
        Endpoint::new(Method::DELETE, "/api/users/profile", account::delete_account).failing(&[ErrorCode::WrongPassword]),
        Endpoint::new(Method::GET, "/api/users/friends", friends::list_friends),
        Endpoint::new(Method::POST, "/api/users/friends", friends::add_friend).failing(&[
            ErrorCode::UserNotFound,
            ErrorCode::Blocked,
            ErrorCode::FriendLimit,
        ]),
        Endpoint::new(Method::DELETE, "/api/users/friends", friends::remove_friend).failing(&[ErrorCode::NotAFriend]),
        Endpoint::new(Method::GET, "/api/users/blocks", blocks::list_blocks),
        Endpoint::new(Method::POST, "/api/users/blocks", blocks::block_user).failing(&[ErrorCode::UserNotFound, ErrorCode::BlockLimit]),
        Endpoint::new(Method::DELETE, "/api/users/blocks", blocks::unblock_user).failing(&[ErrorCode::NotBlocked]),
        Endpoint::new(Method::GET, "/api/users/search", search::search_users).counting_as(Traffic::Search),
        Endpoint::new(Method::GET, "/api/users/export", export::export),
    ]
}

/// What the document of the API tells of them.
#[derive(OpenApi)]
#[openapi(
    paths(
        profile::get_profile,
        profile::update_profile,
        account::delete_account,
        friends::list_friends,
        friends::add_friend,
        friends::remove_friend,
        blocks::list_blocks,
        blocks::block_user,
        blocks::unblock_user,
        search::search_users,
        export::export
    ),
    components(schemas(friends::FriendEntry))
)]
pub struct Documentation;
