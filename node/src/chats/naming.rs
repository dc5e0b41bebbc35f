//! Names in a text: `@nick`, `+nick`, `@nick@partner` for people, `#title` and `#id` for chats.
//!
//! Owns what a name stands for at the moment of sending, among the people and chats that the author may know, and how the ids
//! are shown to whoever reads them. A name that stands for nobody, or for several, stays a word. It must not know how a
//! mention is counted.

use std::ops::Range;

use crossport_protocol::event::mention::{Mention, Mentioned, mentions, with_mentions};
use crossport_protocol::fields::Fields;
use crossport_protocol::fold::Actor;
use crossport_protocol::ids::{ChatId, CompanyId, LocalId, UserId};
use crossport_protocol::limits;
use crossport_protocol::owner_log::ChatKind as WireKind;

use crate::api::types::{ID_PREFIX_CHARS_MIN, Person, Token, TokenKind};
use crate::core::{Core, person_id};
use crate::markdown::{self, Placed};

/// What stands in a text: the sign, and what may be a name behind it.
struct Found<'a> {
    at: usize,
    sign: char,
    /// The text behind the sign.
    rest: &'a str,
}

impl Core {
    /// The fields of a text by a person of this company in this chat.
    pub(crate) fn named_in(&self, chat: &ChatId, user: &LocalId, text: &str) -> Fields {
        let prose = if text.contains(['@', '+', '#']) {
            markdown::prose(text)
        } else {
            Vec::new()
        };
        let mut titles = None;
        let mut named: Vec<Mention> = Vec::new();
        for found in prose.iter().flat_map(|range| signs(text, range)) {
            let free = named.last().is_none_or(|last| last.range().end <= found.at);
            if !free || named.len() >= limits::MENTIONS {
                continue;
            }
            let resolved = if found.sign == '#' {
                let titles = titles.get_or_insert_with(|| self.titled_chats(user));
                chat_named(found.rest, titles)
            } else {
                self.person_named(chat, user, found.sign, found.rest)
            };
            if let Some((length, mentioned)) = resolved
                && let Ok(at) = u32::try_from(found.at)
                && let Ok(length) = u32::try_from(length + 1)
            {
                named.push(Mention::of(at, length, mentioned));
            }
        }
        with_mentions(Fields::none(), &named)
    }

    /// The mentions of a text as tokens for one reader.
    pub(crate) fn placed(
        &self,
        chat: &ChatId,
        user: &LocalId,
        text: &str,
        fields: &Fields,
    ) -> Vec<Placed> {
        let token = |mention: &Mention| {
            let words = text.get(mention.range())?.to_owned();
            let mut token = Token::of(TokenKind::Mention);
            match mention.mentioned()? {
                Mentioned::Person(named) => {
                    token.person = Some(Box::new(self.person_of_id(chat, &named, &words)));
                }
                Mentioned::Chat(named) => {
                    let readable = self.cached_handle(&named, user).is_some();
                    token.chat = readable.then(|| self.shown_twin(&named, user).to_string());
                }
            }
            token.text = Some(words);
            Some((mention.range(), token))
        };
        mentions(fields).iter().filter_map(token).collect()
    }

    /// The person of this company is named in these fields.
    pub(crate) fn names(&self, fields: &Fields, user: &LocalId) -> bool {
        let own = Mentioned::Person(UserId {
            company: self.replicator.company(),
            local: *user,
        });
        let mut named = mentions(fields).into_iter();
        named.any(|mention| mention.mentioned() == Some(own))
    }

    /// Unread messages that name a person.
    pub fn unread_mentions(&self, chat: &ChatId, user: &LocalId) -> u32 {
        let Some(handle) = self.cached_handle(chat, user) else {
            return 0;
        };
        let reader = Actor {
            company: self.replicator.company(),
            handle,
        };
        let read = self.read_arrival(chat, user);
        let mentions = self.sound(self.store.mentions(chat, user, &reader, read));
        u32::try_from(mentions).unwrap_or(u32::MAX)
    }

    /// A person by id, as far as this node knows them; `words` is what they were called in a text.
    pub(crate) fn person_of_id(&self, chat: &ChatId, user: &UserId, words: &str) -> Person {
        let own = self.replicator.company();
        let people = self.cached_people(chat).into_iter();
        let mut members = people.flat_map(|people| people.values());
        if let Some(member) = members.find(|member| member.user == *user) {
            return self.person_of_member(member);
        }
        if user.company == own
            && let Some(colleague) = self.directory.user(&user.local)
        {
            return self.person_of_user(colleague);
        }
        let name = words.trim_start_matches(['@', '+']);
        Person {
            id: person_id(user),
            name: name.to_owned(),
            nickname: name.split('@').next().unwrap_or_default().to_owned(),
            ..self.person_called(chat, user.company, name)
        }
    }

    /// Who is meant by the longest name that `rest` begins with, and its length.
    fn person_named(
        &self,
        chat: &ChatId,
        user: &LocalId,
        sign: char,
        rest: &str,
    ) -> Option<(usize, Mentioned)> {
        let nickname = name_at(rest);
        let company = rest
            .get(nickname.len()..)
            .and_then(|behind| behind.strip_prefix('@'))
            .filter(|_| sign == '@')
            .map(name_at)
            .filter(|company| !company.is_empty());
        if let Some(company) = company {
            // A full stop may end the sentence rather than belong to the name.
            let meant = shorter(company).find_map(|company| {
                let of = self.company_called(company)?;
                let person = self.person_of(chat, user, of, nickname)?;
                Some((nickname.len() + 1 + company.len(), person))
            });
            return meant.map(|(length, person)| (length, Mentioned::Person(person)));
        }
        shorter(nickname).find_map(|nickname| {
            let own = self.replicator.company();
            let person = self
                .person_of(chat, user, own, nickname)
                .or_else(|| self.only_partner_called(chat, nickname))?;
            Some((nickname.len(), Mentioned::Person(person)))
        })
    }

    fn company_called(&self, name: &str) -> Option<CompanyId> {
        let own = self.replicator.company();
        let is_own = self.replicator.roster().name(&own).to_lowercase() == name.to_lowercase();
        if is_own {
            Some(own)
        } else {
            self.find_partner(name).ok().map(|partner| partner.company)
        }
    }

    /// A person of a company by nickname: of this chat, then a colleague, then one met in another chat of the author.
    fn person_of(
        &self,
        chat: &ChatId,
        user: &LocalId,
        company: CompanyId,
        nickname: &str,
    ) -> Option<UserId> {
        let nickname = nickname.to_lowercase();
        let in_chat = |chat: &ChatId| {
            let people = self.cached_people(chat)?;
            let mut members = people.values().filter(|member| member.present);
            members
                .find(|member| member.user.company == company && member.nickname == nickname)
                .map(|member| member.user)
        };
        if let Some(found) = in_chat(chat) {
            return Some(found);
        }
        if company == self.replicator.company() {
            let colleague = self.directory.user_by_nickname(&nickname)?;
            let local = colleague.local;
            return Some(UserId { company, local });
        }
        self.readable_by(user).iter().find_map(in_chat)
    }

    /// Without a company a nickname means a colleague, or the only one of the chat who is called so.
    fn only_partner_called(&self, chat: &ChatId, nickname: &str) -> Option<UserId> {
        let nickname = nickname.to_lowercase();
        let people = self.cached_people(chat)?;
        let mut called = people
            .values()
            .filter(|member| member.present && member.nickname == nickname);
        let found = called.next()?;
        called.next().is_none().then_some(found.user)
    }

    /// Chats that the author may name, with their titles; direct ones have none.
    fn titled_chats(&self, user: &LocalId) -> Vec<(ChatId, String)> {
        let named = |chat: ChatId| {
            let held = self.replicator.chat(&chat)?;
            let titled = held.owner().kind() != WireKind::DIRECT;
            titled.then(|| (chat, self.title_of(&chat).unwrap_or_default()))
        };
        self.readable_by(user)
            .into_iter()
            .filter_map(named)
            .collect()
    }
}

/// The longest title, or the only id, that a text begins with.
fn chat_named(rest: &str, chats: &[(ChatId, String)]) -> Option<(usize, Mentioned)> {
    let matches = chats.iter().filter_map(|(chat, title)| {
        let length = beginning(rest, title)?;
        Some((length, *chat))
    });
    let mut titled: Vec<(usize, ChatId)> = matches.collect();
    titled.sort_unstable();
    if let Some((length, chat)) = titled.pop() {
        let only = titled.last().is_none_or(|(next, _)| *next < length);
        return only.then_some((length, Mentioned::Chat(chat)));
    }
    let id = name_at(rest);
    let mut called = chats.iter().filter(|(chat, _)| {
        id.len() >= ID_PREFIX_CHARS_MIN && chat.to_string().starts_with(&id.to_lowercase())
    });
    let (chat, _) = called.next()?;
    called
        .next()
        .is_none()
        .then_some((id.len(), Mentioned::Chat(*chat)))
}

/// How much of a text is this title, letter case aside; none if a word would be cut.
fn beginning(text: &str, title: &str) -> Option<usize> {
    let mut length = 0;
    let mut letters = text.chars();
    for wanted in title.chars() {
        let found = letters.next()?;
        if !found.to_lowercase().eq(wanted.to_lowercase()) {
            return None;
        }
        length += found.len_utf8();
    }
    let ends = letters.next().is_none_or(|next| !next.is_alphanumeric());
    (length > 0 && ends).then_some(length)
}

/// Signs of names in a stretch of the text: at the beginning of a word.
fn signs<'a>(text: &'a str, range: &Range<usize>) -> impl Iterator<Item = Found<'a>> {
    let start = range.start;
    let stretch = text.get(range.clone()).unwrap_or_default();
    let before = text.get(..start).and_then(|before| before.chars().last());
    let mut previous = before;
    stretch.char_indices().filter_map(move |(at, sign)| {
        let begins = previous.is_none_or(|c| !c.is_alphanumeric() && !"@+#/._-".contains(c));
        previous = Some(sign);
        let rest = stretch.get(at + sign.len_utf8()..)?;
        let is_sign = matches!(sign, '@' | '+' | '#') && begins && !rest.is_empty();
        is_sign.then_some(Found {
            at: start + at,
            sign,
            rest,
        })
    })
}

/// The letters of a name that a text begins with.
fn name_at(text: &str) -> &str {
    let end = text.find(|c: char| !(c.is_alphanumeric() || "._-".contains(c)));
    text.get(..end.unwrap_or(text.len())).unwrap_or_default()
}

/// A name, and what is left of it without signs at its end.
fn shorter(name: &str) -> impl Iterator<Item = &str> {
    let signs = name.len() - name.trim_end_matches(['.', '_', '-']).len();
    let lengths = (0..=signs).filter_map(move |cut| name.get(..name.len() - cut));
    lengths.filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(char, &str)> {
        let whole = 0..text.len();
        signs(text, &whole)
            .map(|found| (found.sign, name_at(found.rest)))
            .collect()
    }

    #[test]
    fn s19_signs_stand_at_the_beginning_of_a_word() {
        assert_eq!(
            found("@anna, (+boris) and #42"),
            [('@', "anna"), ('+', "boris"), ('#', "42")]
        );
        assert_eq!(found("a@b.example 1+1 x#y /@z @"), []);
        assert_eq!(found("@boris@globex"), [('@', "boris")]);
    }

    #[test]
    fn s19_a_sentence_may_end_behind_a_name() {
        assert_eq!(shorter("anna.").collect::<Vec<_>>(), ["anna.", "anna"]);
        assert_eq!(shorter("..").collect::<Vec<_>>(), ["..", "."]);
        assert_eq!(shorter("").count(), 0);
    }

    #[test]
    fn s19_titles_are_whole_words_and_the_longest_wins() {
        let chats = [
            (ChatId([1; 32]), "Launch".to_owned()),
            (ChatId([2; 32]), "launch Berlin".to_owned()),
            (ChatId([3; 32]), "Запуск".to_owned()),
            (ChatId([4; 32]), String::new()),
        ];
        let named = |text| chat_named(text, &chats);
        let chat = |number| Mentioned::Chat(ChatId([number; 32]));
        assert_eq!(named("launch!"), Some((6, chat(1))));
        assert_eq!(named("Launch berlin"), Some((13, chat(2))));
        assert_eq!(named("ЗАПУСК,"), Some((12, chat(3))));
        assert_eq!(named("Launches"), None);
        assert_eq!(named("04040404"), Some((8, chat(4))));
        assert_eq!(named("0"), None);
    }
}
