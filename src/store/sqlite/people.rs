//! Other people as somebody sees them, in SQLite: the lists of friends and blocks, and the search.
//!
//! A list is one walk along an index, which gives ids, and one look-up for each: SQLite is in the process, so many small
//! queries cost no more than one large one.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::rows;
use crate::domain::{Timestamp, UserId, UsernamePrefix};
use crate::store::{Friend, Lists, Peer, Person};

const SELECT_PEER: &str = "
    SELECT messages_from,
           EXISTS (SELECT 1 FROM friends WHERE user = ?1 AND friend = ?2),
           EXISTS (SELECT 1 FROM blocks WHERE user = ?1 AND blocked = ?2)
    FROM users WHERE id = ?1 AND held_until IS NULL";
const SELECT_PERSON: &str = "
    SELECT id, username,
           EXISTS (SELECT 1 FROM friends WHERE user = ?1 AND friend = ?2),
           EXISTS (SELECT 1 FROM blocks WHERE user = ?1 AND blocked = ?2),
           (SELECT max(last_used_at) FROM sessions WHERE user = ?1 AND last_used_at <= ?3),
           last_seen
    FROM users WHERE id = ?1 AND held_until IS NULL";
const SELECT_FRIENDS: &str = "SELECT friend, added_at FROM friends WHERE user = ?1 ORDER BY number";
const SELECT_BLOCKS: &str = "SELECT blocked FROM blocks WHERE user = ?1 ORDER BY number";
const SEARCH_NAMES: &str = "
    SELECT id FROM users
    WHERE username_key >= ?1 AND username_key < ?2 AND held_until IS NULL
        AND NOT EXISTS (SELECT 1 FROM blocks WHERE user = id AND blocked = ?3)
    ORDER BY username_key LIMIT ?4";

/// Another person as far as it decides what the caller may do.
pub(super) fn select_peer(connection: &Connection, peer: UserId, caller: UserId) -> rusqlite::Result<Option<Peer>> {
    connection.prepare_cached(SELECT_PEER)?.query_row(params![peer.to_bytes(), caller.to_bytes()], rows::peer).optional()
}

/// Whom somebody has added, and when, in the order of adding.
pub(super) fn select_friend_ids(connection: &Connection, user: UserId) -> rusqlite::Result<Vec<(UserId, Timestamp)>> {
    let mut friends = connection.prepare_cached(SELECT_FRIENDS)?;
    friends.query_map([user.to_bytes()], |row| Ok((rows::user_id(row, 0)?, rows::time(row, 1)?)))?.collect()
}

/// Whom somebody has blocked, in the order of blocking.
pub(super) fn select_block_ids(connection: &Connection, user: UserId) -> rusqlite::Result<Vec<UserId>> {
    connection.prepare_cached(SELECT_BLOCKS)?.query_map([user.to_bytes()], |row| rows::user_id(row, 0))?.collect()
}

pub(super) fn select_friends(connection: &Connection, caller: UserId, at: Timestamp) -> rusqlite::Result<Vec<Friend>> {
    let mut friends = Vec::new();
    for (id, added_at) in select_friend_ids(connection, caller)? {
        let seen = select_seen(connection, id, caller, at)?.filter(|seen| !seen.has_blocked_caller);
        friends.extend(seen.map(|seen| Friend { person: seen.person, added_at }));
    }
    Ok(friends)
}

/// Those whom somebody has blocked, whether or not they have blocked the caller too.
pub(super) fn select_blocked(connection: &Connection, caller: UserId, at: Timestamp) -> rusqlite::Result<Vec<Person>> {
    let mut people = Vec::new();
    for id in select_block_ids(connection, caller)? {
        people.extend(select_person(connection, id, caller, at)?);
    }
    Ok(people)
}

/// A person, also one who has blocked the caller.
pub(super) fn select_person(connection: &Connection, id: UserId, caller: UserId, at: Timestamp) -> rusqlite::Result<Option<Person>> {
    Ok(select_seen(connection, id, caller, at)?.map(|seen| seen.person))
}

/// The people with these ids, but for those who have blocked the caller.
pub(super) fn select_people(
    connection: &Connection,
    caller: UserId,
    ids: impl IntoIterator<Item = UserId>,
    at: Timestamp,
) -> rusqlite::Result<Vec<Person>> {
    let mut people = Vec::new();
    for id in ids {
        let seen = select_seen(connection, id, caller, at)?.filter(|seen| !seen.has_blocked_caller);
        people.extend(seen.map(|seen| seen.person));
    }
    Ok(people)
}

pub(super) fn search(
    connection: &Connection,
    caller: UserId,
    prefix: &UsernamePrefix,
    limit: usize,
    at: Timestamp,
) -> rusqlite::Result<Vec<Person>> {
    let mut names = connection.prepare_cached(SEARCH_NAMES)?;
    let bounds = params![prefix.first(), prefix.end(), caller.to_bytes(), rows::to_sql_limit(limit)];
    let found: Vec<UserId> = names.query_map(bounds, |row| rows::user_id(row, 0))?.collect::<Result<_, _>>()?;
    select_people(connection, caller, found, at)
}

/// A person, and whether the caller may see them.
struct Seen {
    person: Person,
    has_blocked_caller: bool,
}

/// `None` where there is no account, or none that decodes: a list goes on without it.
fn select_seen(connection: &Connection, id: UserId, caller: UserId, at: Timestamp) -> rusqlite::Result<Option<Seen>> {
    let latest_use = Timestamp::latest_credible(at);
    let seen = connection
        .prepare_cached(SELECT_PERSON)?
        .query_row(params![id.to_bytes(), caller.to_bytes(), latest_use.as_millis()], |row| {
            let lists = Lists { is_friend: row.get(2)?, is_blocked: row.get(3)? };
            let person = Person {
                id: rows::user_id(row, 0)?,
                username: rows::username(row, 1)?,
                has_added_caller: lists.has_added_caller(),
                last_active: rows::optional_time(row, 4)?,
                last_seen: rows::optional_time(row, 5)?,
            };
            Ok(Seen { person, has_blocked_caller: lists.is_blocked })
        })
        .optional();
    Ok(rows::unless_undecodable(seen, || id.to_string())?.flatten())
}

#[cfg(test)]
mod tests {
    use super::super::schema::assert_plan;
    use super::*;

    #[test]
    fn every_list_is_one_walk_along_an_index() {
        let by_id = "SEARCH users USING PRIMARY KEY (id=?)";
        let friend = "SEARCH friends USING COVERING INDEX sqlite_autoindex_friends_1 (user=? AND friend=?)";
        let block = "SEARCH blocks USING COVERING INDEX sqlite_autoindex_blocks_1 (user=? AND blocked=?)";
        assert_plan(SELECT_PEER, &[by_id, friend, block]);
        assert_plan(SELECT_PERSON, &[by_id, friend, block, "SEARCH sessions USING PRIMARY KEY (user=?)"]);
        assert_plan(SELECT_FRIENDS, &["SEARCH friends USING INDEX friends_in_order (user=?)"]);
        assert_plan(SELECT_BLOCKS, &["SEARCH blocks USING INDEX blocks_in_order (user=?)"]);
        assert_plan(SEARCH_NAMES, &["SEARCH users USING INDEX users_search (username_key>? AND username_key<?)", block]);
    }
}
