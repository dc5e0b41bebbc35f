//! Worlds of several real nodes: what the product is for, and partners who do not keep to it.
//!
//! One binary, because linking libp2p again for each file would take longer than the tests. Tests of lower layers are with
//! those; here is what only whole nodes can show.

mod accounts;
mod by_hand;
mod by_hand_chats;
mod by_hand_demo;
mod by_hand_json;
mod by_hand_mistakes;
mod by_hand_operator;
mod by_hand_waiting;
mod canaries;
mod crash;
mod devices;
mod disk;
mod hostile_content;
mod hostile_identity;
mod hostile_load;
mod hostile_order;
mod hostile_owner;
mod hostile_people;
mod hostile_reader;
mod hostile_roster;
mod hostile_scope;
mod hostile_shape;
mod namespaces;
mod offline;
mod passing_on;
mod slash;
mod talking;
mod words;
