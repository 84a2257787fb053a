//! The User service: profiles, friends, blocks, search, and everything that is kept of a person.

mod account;
mod blocks;
mod export;
mod friends;
mod profile;
mod search;

use actix_web::http::Method;

use crate::http::{Endpoint, Traffic};

/// What the service offers.
#[must_use]
pub fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new(Method::GET, "/api/users/profile", profile::get_profile),
        Endpoint::new(Method::PUT, "/api/users/profile", profile::update_profile),
        Endpoint::new(Method::DELETE, "/api/users/profile", account::delete_account),
        Endpoint::new(Method::GET, "/api/users/friends", friends::list_friends),
        Endpoint::new(Method::POST, "/api/users/friends", friends::add_friend),
        Endpoint::new(Method::DELETE, "/api/users/friends", friends::remove_friend),
        Endpoint::new(Method::GET, "/api/users/blocks", blocks::list_blocks),
        Endpoint::new(Method::POST, "/api/users/blocks", blocks::block_user),
        Endpoint::new(Method::DELETE, "/api/users/blocks", blocks::unblock_user),
        Endpoint::new(Method::GET, "/api/users/search", search::search_users).counting_as(Traffic::Search),
        Endpoint::new(Method::GET, "/api/users/export", export::export),
    ]
}
