//! Who takes part in a chat: the list, adding, removing, leaving.

use crossport_protocol::event::{Event, MemberAction, MemberAsk, Notice, chat::notice};
use crossport_protocol::fold::Actor;
use crossport_protocol::ids::{ChatId, CompanyId, Handle};
use crossport_protocol::owner_log::ChatKind as WireKind;
use crossport_protocol::replicator::Draft;

use super::{Named, company_notice, refused_act};
use crate::api::facade::{Answer, Caller, Refused};
use crate::api::types::{AddMembers, Code, Member, Members};
use crate::core::{Core, person_id, time_text};

impl Core {
    pub fn members(&mut self, caller: Caller, text: &str) -> Answer<Members> {
        let chat = self.find_chat(text, &caller.user)?;
        self.members_of(chat)
    }

    fn members_of(&mut self, chat: ChatId) -> Answer<Members> {
        let owner = self
            .replicator
            .chat(&chat)
            .ok_or(Code::ChatNotFound)?
            .owner()
            .owner();
        self.forget_answered(chat);
        let people = self.people_of(&chat).clone();
        let present = people
            .values()
            .filter(|member| self.takes_part(&chat, member))
            .map(|member| Member {
                person: self.person_of_member(member),
                administrator: member.user.company == owner
                    && self
                        .directory
                        .user(&member.user.local)
                        .is_some_and(|user| user.administrator),
                since: time_text(member.since.time()),
                invited: false,
            });
        let mut members: Vec<Member> = present.collect();
        for (company, nickname) in self.asked(&chat) {
            members.push(Member {
                person: self.person_called(&chat, company, &nickname),
                administrator: false,
                since: time_text(crate::core::now()),
                invited: true,
            });
        }
        members.sort_by(|one, other| {
            (&one.person.company.name, &one.person.name)
                .cmp(&(&other.person.company.name, &other.person.name))
        });
        Ok(Members { members })
    }

    /// People who were asked for and have joined are no longer "invited".
    fn forget_answered(&mut self, chat: ChatId) {
        let asked = self.asked(&chat);
        let people = self.people_of(&chat).clone();
        let joined = |company, nickname: &str| {
            people
                .values()
                .any(|member| member.user.company == company && member.nickname == nickname)
        };
        let waiting: Vec<_> = asked
            .iter()
            .filter(|(company, nickname)| !joined(*company, nickname))
            .cloned()
            .collect();
        if waiting.len() != asked.len() {
            self.set_asked(&chat, &waiting);
        }
    }

    pub fn add_members(&mut self, caller: Caller, text: &str, add: &AddMembers) -> Answer<Members> {
        let chat = self.find_chat(text, &caller.user)?;
        let held = self.replicator.chat(&chat).ok_or(Code::ChatNotFound)?;
        if held.owner().kind() == WireKind::DIRECT {
            return Err(Refused::new(Code::ChatKindForbids, "direct"));
        }
        let user = self
            .directory
            .user(&caller.user)
            .cloned()
            .ok_or(Code::NotSignedIn)?;
        let people = self.named_people(&add.people, &user)?;
        self.bring_in(chat, &caller.user, &people)?;
        self.members_of(chat)
    }

    /// A colleague leaves by this company's own event; a partner's person is barred by the owner; a whole company
    /// (`@company`) is removed by the owner with a cut and a new epoch.
    pub fn remove_member(&mut self, caller: Caller, text: &str, person: &str) -> Answer<Members> {
        let chat = self.find_chat(text, &caller.user)?;
        if let Some(company) = person.strip_prefix('@') {
            let company = self.find_partner(company)?.company;
            let removed = self.replicate(|replicator, cx| replicator.remove(cx, chat, company));
            removed.map_err(|error| refused_act(&error))?;
            let mut asked = self.asked(&chat);
            asked.retain(|(of, _)| *of != company);
            self.set_asked(&chat, &asked);
            let by = self.handle_of(&chat, &caller.user).unwrap_or(Handle::ZERO);
            let told = company_notice(by, notice::COMPANY_REMOVED, company);
            self.append(chat, vec![told])?;
            return self.members_of(chat);
        }
        match self.named_person(person)? {
            Named::Colleague(colleague) => {
                let handle = self
                    .handle_of(&chat, &colleague.local)
                    .ok_or_else(|| Refused::new(Code::PersonNotFound, person))?;
                let mut drafts = vec![self.leave_draft(handle, &colleague)];
                if colleague.local != caller.user {
                    let own = self.replicator.company();
                    drafts.insert(0, self.removal(chat, caller, own, &colleague.nickname));
                }
                self.append(chat, drafts)?;
            }
            Named::Partner(company, nickname) => {
                let people = self.people_of(&chat);
                let is_named =
                    |(actor, member): &(&Actor, &crossport_protocol::fold::Membership)| {
                        actor.company == company
                            && (member.nickname == nickname || person_id(&member.user) == person)
                    };
                let found = people.iter().find(is_named).map(|(actor, _)| *actor);
                let actor = found.ok_or_else(|| Refused::new(Code::PersonNotFound, person))?;
                self.bar(chat, caller, actor, nickname)?;
            }
        }
        self.members_of(chat)
    }

    /// The owner bars; only the person's own company can take them off the list, so it is asked to.
    fn bar(&mut self, chat: ChatId, caller: Caller, actor: Actor, nickname: String) -> Answer<()> {
        let barred = self.replicate(|replicator, cx| {
            replicator.bar(cx, chat, actor.company, actor.handle, true)
        });
        barred.map_err(|error| refused_act(&error))?;
        let told = self.removal(chat, caller, actor.company, &nickname);
        let by = told.actor;
        let ask = MemberAsk {
            company: actor.company,
            action: MemberAction::LEAVE,
            nickname,
        };
        self.append(
            chat,
            vec![
                told,
                Draft {
                    actor: by,
                    event: Event::MemberAsk(ask),
                },
            ],
        )
    }

    /// What the chat is told of a person whom somebody took out.
    fn removal(&mut self, chat: ChatId, caller: Caller, of: CompanyId, nickname: &str) -> Draft {
        let notice = Notice {
            code: notice::PERSON_REMOVED,
            words: vec![nickname.to_owned(), of.to_string()],
        };
        Draft {
            actor: self.handle_of(&chat, &caller.user).unwrap_or(Handle::ZERO),
            event: Event::Notice(notice),
        }
    }

    pub fn leave(&mut self, caller: Caller, text: &str) -> Answer<()> {
        let chat = self.find_chat(text, &caller.user)?;
        let user = self
            .directory
            .user(&caller.user)
            .cloned()
            .ok_or(Code::NotSignedIn)?;
        let handle = self
            .handle_of(&chat, &caller.user)
            .ok_or_else(|| Refused::new(Code::ChatNotFound, text))?;
        let draft = self.leave_draft(handle, &user);
        self.append(chat, vec![draft])
    }
}
