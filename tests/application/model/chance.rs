//! What people do at random, the usual more often than the odd.

use proptest::prelude::*;

use super::step::{Caller, Chat, Door, Mark, PEOPLE, Relation, Slot, Step, Token, View, Whom, Window};

/// A case of so many steps on average. Any number is allowed, so that a case can be cut down to few.
pub fn case(steps: usize) -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 0..=2 * steps)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        120 => sending().boxed(),
        60 => reading().boxed(),
        40 => (caller(), chat(), mark()).prop_map(|(by, chat, mark)| Step::MarkRead { by, chat, mark }),
        70 => relating().boxed(),
        30 => (caller(), view()).prop_map(|(by, at)| Step::Look { by, at }),
        12 => (caller(), any::<bool>()).prop_map(|(by, from_friends_only)| Step::TakeMessages { by, from_friends_only }),
        8 => (caller(), 0..6_u8).prop_map(|(by, name)| Step::Rename { by, name }),
        14 => (caller(), any::<u8>()).prop_map(|(by, number)| Step::Mistake { by, number }),
        50 => comings_and_goings().boxed(),
    ]
}

fn sending() -> impl Strategy<Value = Step> {
    (caller(), whom(), 0..8_u8, prop::option::of(0..3_u8)).prop_map(|(by, to, text, key)| Step::Send { by, to, text, key })
}

fn reading() -> impl Strategy<Value = Step> {
    let limit = prop_oneof![Just(100_u8), Just(7), Just(3), Just(2), Just(1)];
    prop_oneof![
        3 => (caller(), chat(), window(), prop::option::of(limit.clone()))
            .prop_map(|(by, chat, window, limit)| Step::ReadChat { by, chat, window, limit }),
        1 => (caller(), limit.clone()).prop_map(|(by, limit)| Step::ReadAll { by, limit }),
        1 => (caller(), limit).prop_map(|(by, limit)| Step::ListConversations { by, limit }),
        1 => caller().prop_map(|by| Step::Revisit { by }),
    ]
}

fn relating() -> impl Strategy<Value = Step> {
    let relation =
        prop_oneof![4 => Just(Relation::Befriend), 2 => Just(Relation::Unfriend), 2 => Just(Relation::Block), 2 => Just(Relation::Unblock)];
    (caller(), relation, whom()).prop_map(|(by, relation, whom)| Step::Relate { by, relation, whom })
}

/// Passwords are rarely hashed: it takes as long as a hundred other steps.
fn comings_and_goings() -> impl Strategy<Value = Step> {
    let password = prop_oneof![Just(Door::RightPassword), Just(Door::WrongPassword)];
    prop_oneof![
        50 => slot().prop_map(|who| Step::LogIn { who, door: Door::Store, times: 1 }),
        3 => slot().prop_map(|who| Step::LogIn { who, door: Door::Store, times: 12 }),
        1 => (0..PEOPLE, password.clone()).prop_map(|(who, door)| Step::LogIn { who, door, times: 1 }),
        1 => (0..PEOPLE, 0..6_u8, 0..4_u8).prop_map(|(who, name, email)| Step::Register { who, name, email }),
        18 => caller().prop_map(|by| Step::LogOut { by }),
        14 => (caller(), slot(), any::<u8>()).prop_map(|(by, of, session)| Step::EndSession { by, of, session }),
        6 => caller().prop_map(|by| Step::EndOtherSessions { by }),
        9 => caller().prop_map(|by| Step::Delete { by, door: Door::Store }),
        1 => (caller(), password).prop_map(|(by, door)| Step::Delete { by, door }),
    ]
}

/// Some meet more often than others, so that their chats get long.
fn slot() -> impl Strategy<Value = Slot> {
    prop_oneof![4 => Just(0), 4 => Just(1), 2 => Just(2), 1 => Just(3), 1 => Just(4)]
}

fn caller() -> impl Strategy<Value = Caller> {
    let token = prop_oneof![30 => (0..4_u8).prop_map(Token::Live), 1 => any::<u8>().prop_map(Token::Ended), 1 => Just(Token::Missing)];
    (slot(), token).prop_map(|(who, token)| Caller { who, token })
}

fn whom() -> impl Strategy<Value = Whom> {
    prop_oneof![
        30 => slot().prop_map(Whom::Person),
        2 => any::<u8>().prop_map(Whom::Gone),
        1 => Just(Whom::Nobody),
        1 => Just(Whom::Garbage),
    ]
}

fn chat() -> impl Strategy<Value = Chat> {
    prop_oneof![
        4 => whom().prop_map(Chat::With),
        4 => whom().prop_map(Chat::Of),
        1 => (slot(), slot()).prop_map(|(one, other)| Chat::Between(one, other)),
    ]
}

fn window() -> impl Strategy<Value = Window> {
    prop_oneof![1 => Just(Window::Newest), 1 => any::<u8>().prop_map(Window::Before), 2 => any::<u8>().prop_map(Window::After)]
}

fn mark() -> impl Strategy<Value = Mark> {
    prop_oneof![
        1 => Just(Mark::Zero),
        6 => any::<u8>().prop_map(Mark::At),
        4 => Just(Mark::Last),
        2 => any::<u8>().prop_map(Mark::BeyondLast),
    ]
}

fn view() -> impl Strategy<Value = View> {
    prop_oneof![Just(View::Profile), Just(View::Friends), Just(View::Blocks), Just(View::Sessions), Just(View::People), Just(View::Ids)]
}
