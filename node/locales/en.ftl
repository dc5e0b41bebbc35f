# Crossport, every text a person reads, in English. ru.ftl has the same keys and variables; a test compares them.
# Areas: cli (help, made from the command tree), problem (refusals, by code), config (keys), and by word below.

## Refusals: title, .cause, .try; the only variable is $subject

problem-request-malformed = the request was not understood
    .cause = this client and the node do not speak the same version
    .try = crossport version
problem-value-invalid = "{ $subject }" is not valid here
    .try = look at --help of the command
problem-too-large = "{ $subject }" is too long
    .cause = a message has at most 65,536 characters
    .try = make it shorter, or send it in parts
problem-client-id-reused = this write was already done with other content
    .cause = the same --client-id was used before
    .try = leave --client-id out, or use a new one
problem-too-many-requests = too many requests
    .try = wait a minute
problem-no-such-endpoint = this address does not exist on the node
    .try = crossport version
problem-not-signed-in = you are not signed in
    .cause = the session was ended, or access was reset
    .try = ask your administrator for a new link, then: crossport login
problem-activation-refused = this link does not open an account
    .cause = it is incomplete, expired, or was used before
    .try = ask your administrator for a new one: crossport user reset NICKNAME
problem-sign-in-refused = name or password is wrong
    .cause = there is nobody of that name, or the password is another; nobody is told which
    .try = ask your administrator for a new link: crossport user reset NICKNAME
problem-not-allowed = you may not do this
    .try = crossport whoami, then ask somebody who may: an administrator, or the company that owns the chat
problem-partner-not-found = no partner is called "{ $subject }"
    .try = crossport partner list
problem-partner-ambiguous = several partners match "{ $subject }"
    .try = crossport partner list, then use more digits of the id
problem-ticket-unreadable = this is not a ticket
    .cause = it is damaged or incomplete
    .try = copy it again, all of it
problem-ticket-expired = the ticket has expired
    .try = ask the other company for a new one: crossport partner invite
problem-ticket-used = the ticket was used before
    .try = ask the other company for a new one: crossport partner invite
problem-ticket-own = this ticket was made by your own company
    .try = give it to the other company
problem-words-differ = the words of "{ $subject }" differ
    .cause = a typing error, or somebody stands between the two companies
    .try = compare again by telephone: crossport partner verify
problem-partner-paused = the partnership with "{ $subject }" is paused
    .try = crossport partner resume "{ $subject }"
problem-partner-unreachable = the node of "{ $subject }" does not answer
    .try = crossport partner show "{ $subject }"
problem-partner-exists = "{ $subject }" is a partner already
    .try = crossport partner show "{ $subject }"
problem-partner-not-active = "{ $subject }" is not an active partner
    .cause = the other company has not answered yet, or the partnership ended
    .try = crossport partner list
problem-partner-refused = partner "{ $subject }" refused
    .try = ask for a new ticket: crossport partner invite
problem-chat-not-found = no chat of yours is called "{ $subject }"
    .try = crossport chat list
problem-person-not-found = nobody is called "{ $subject }"
    .try = crossport contact list
problem-person-ambiguous = several people match "{ $subject }"
    .try = crossport contact list, then use nickname@company
problem-message-not-found = no message "{ $subject }" in your chats
    .try = crossport chat show CHAT
problem-id-ambiguous = several things match "{ $subject }"
    .try = use more digits of the id
problem-not-your-message = this message is not yours
    .cause = only its author can change a message
    .try = crossport msg show MESSAGE
problem-recall-too-late = it is too late to recall this message
    .cause = it may have left this node
    .try = crossport msg delete MESSAGE
problem-chat-closed = nothing can be written into "{ $subject }"
    .cause = you or your company left it, or were removed
    .try = crossport chat list, or open another: crossport chat new
problem-chat-kind-forbids = this kind of chat does not allow that
    .try = crossport chat new --help
problem-nickname-taken = the nickname "{ $subject }" is taken
    .cause = somebody of your company is called that
    .try = crossport user list
problem-message-gone = this message is deleted
    .try = crossport chat show CHAT
problem-not-there = there is no "{ $subject }" in your list
    .try = look again: crossport device list, crossport token list
problem-disk-full = the node's disk is full, nothing was accepted
    .try = free some space; the node goes on by itself
problem-storage-failed = the node's disk failed, it is stopping so that nothing is lost
    .try = look at the log, check the disk, start again: crossport up
problem-internal = the node failed to do this
    .cause = a defect in Crossport
    .try = look at the log and report it
problem-not-ready = the node is not ready
    .try = wait a moment: crossport status
problem-already-running = this is being done already
    .try = crossport status
problem-node-unreachable = the node does not answer at { $subject }
    .try = crossport up, or name its folder with --data-dir
problem-answer-unreadable = the answer from { $subject } is not Crossport's
    .cause = something else listens there, or the node is of another version
    .try = crossport version
problem-timed-out = { $subject } took too long
    .try = crossport doctor
problem-no-credentials = { $subject ->
    [none] nobody is signed in here
   *[other] nobody is signed in here as "{ $subject }"
}
    .try = crossport login, with the link from your administrator
problem-credentials-unsafe = others can read the credentials in { $subject }
    .try = make the file private: chmod 600 FILE
problem-config-invalid = the configuration cannot be used: { $subject }
    .try = crossport config show --origin
problem-file-failed = { $subject } could not be read or written
    .try = look whether it is there, who may use it, and whether the disk is full
problem-verification-failed = verification found { $subject } faults
    .try = stop the node, keep a copy of its data folder, and restore from a backup
problem-not-confirmed = not confirmed: { $subject }
    .try = --yes
problem-company-exists = the company "{ $subject }" is here already
    .try = crossport up
problem-failed = failed: { $subject }
    .try = crossport doctor
problem-usage = { $subject }
    .try = crossport --help

## Reasons: why something failed, where a person can do something about it

reason-not-found = there is no such file or folder
reason-permission-denied = permission denied
reason-address-in-use = another program listens there
reason-address-not-here = this machine has no such address
reason-reach-node = look whether the node runs there, and whether the address is right
reason-nobody-listens = nobody listens there
reason-connection-broke = the connection broke off
reason-no-answer = no answer in time
reason-disk-full = no space left on the disk
reason-disk-read-only = the disk can only be read
reason-not-a-folder = a part of the path is no folder
reason-is-a-folder = it is a folder
reason-already-there = something is there already
reason-node-runs = a node runs with this data folder
reason-no-name = a new company needs a name
reason-bad-name = a company's name has 1 to { $limit } characters on one line
reason-identity-damaged = the file with the company's identity is damaged
reason-cannot-listen = cannot listen at { $address }: { $cause }
reason-plain-http = plain HTTP at { $address } would carry tokens and texts readable over the network
reason-core-ended = the node ended unexpectedly
reason-keys-readable = others can read the keys (mode { $mode })
reason-keys-damaged = the file with the keys is damaged, or is none of Crossport's
reason-wrong-passphrase = the passphrase does not open the keys
reason-needs-passphrase = the keys are sealed with a passphrase: name its file
reason-foreign-store = keys and journal are not of the same node
reason-newer-format = a newer version of Crossport wrote it
reason-pairing-busy = too many requests to pair are under way
reason-no-address = no address is known
reason-nobody-answers = nobody answers at its addresses
reason-another-node = another node answers there
reason-this-node = that is this node itself
reason-not-approved = the other company does not know yours as a partner
reason-paused-there = the other company has paused the partnership
reason-too-many-connections = too many connections
reason-not-connected = the partner is not connected
reason-not-their-node = the node that answered is not that company's
reason-ticket-prefix = a ticket begins with { $prefix }
reason-not-owner = only the company that owns the chat may do this
reason-restored-unsure = this node was restored, and waits until partners confirm that they know no later decision
reason-no-chat-key = the chat's key is not here yet
reason-chat-needs-newer = the chat needs a newer version of Crossport
reason-not-member = your company does not take part in this chat
reason-too-many-streams = your company was restored too often in this chat: go on in a new one
reason-too-many-bytes = it takes { $found } bytes, at most { $limit } fit
reason-empty = there is nothing in it
reason-too-many-characters = it has { $found } characters, at most { $limit } are allowed
reason-control-character = it contains a control character ({ $character })
reason-not-an-emoji = it is not one emoji
reason-foreign-host = this node does not serve that host name; see the key api_url
reason-another-site = a page of another site asked for this
reason-too-many-feeds = this session has too many open change feeds
setting-malformed = line { $line }: { $cause }
setting-unknown = { $origin }: there is no such key
setting-misspelt = { $origin }: there is no such key, did you mean { $near }?
setting-invalid = { $origin }: "{ $value }": { $reason }
setting-not-off = it cannot be off
setting-no-home = no home folder is known, so name one
setting-unreachable = with listen_quic off too, no partner could reach this node
setting-list = a list of texts is needed
setting-text = a text in quotation marks is needed
setting-address = an address is an IP and a port, such as 127.0.0.1:8460 or [::]:8461, or off
setting-number = a whole number from { $least } to { $most } is needed
setting-choice = one of these is needed: { $choices }
origin-default = default
origin-file = file { $name }
origin-environment = variable { $name }
origin-flag = flag { $name }
frozen-owner-forked = the company that owns it signed two histories of who takes part; its people have to decide

## Mistakes on the command line

usage-unknown-argument = unknown argument { $argument }
usage-unknown-command = unknown command { $command }
usage-value-missing = { $argument } needs a value
usage-invalid-value = "{ $value }" is not a value for { $argument }
usage-argument-missing = missing: { $argument }
usage-command-missing = a command is missing
usage-conflict = { $argument } cannot be used with { $other }
usage-number-of-values = wrong number of values for { $argument }
usage-title-missing = this kind of chat needs a title
usage-did-you-mean = did you mean { $name }?
usage-choices = choices are { $choices }

error-label = error
error-detail = detail
error-cause = cause
error-try = try

## Words

word-yes = yes
word-no = no
state-waiting = waiting
state-active = active
state-paused = paused
state-quarantined = quarantined
state-removed = removed
state-invited = invited
state-member = member
kind-direct = direct
kind-group = group
kind-open = open
kind-channel = channel
kind-company = company
message-text = text
message-service = service
message-deleted = deleted
message-recalled = recalled
message-unreadable = unreadable
message-needs-newer = needs a newer version
verdict-ok = ok
verdict-warning = warning
verdict-failed = failed
audit-operator = operator (uid { $uid })
audit-ticket = whoever had the ticket
audit-node = the node itself
receipt-stored = stored
receipt-overdue = not delivered, overdue
receipt-not-delivered = not delivered since
receipt-read = read
receipt-unread = not read yet
receipt-read-by = read by { $people } of { $of }
hop-signed = signed
hop-stored = stored here
hop-received = received here
hop-released = released (recall ends)
hop-sent = sent
hop-delivered = delivered
hop-not-delivered = not delivered since
hop-read = read
hop-void = void
road-linked = linked by { $transport } with { $address }
road-no-link = no link
road-statement = statement { $statement }
size-bytes = { $number } B
size-kib = { $number } KiB
size-mib = { $number } MiB
size-gib = { $number } GiB
size-tib = { $number } TiB

## Times

time-now = just now
time-minutes-ago = { $count } min ago
time-hours-ago = { $count } h ago
time-days-ago = { $count ->
    [one] { $count } day ago
   *[other] { $count } days ago
}
time-minutes-ahead = in { $count } min
time-hours-ahead = in { $count } h
time-days-ahead = { $count ->
    [one] in { $count } day
   *[other] in { $count } days
}

## Columns and fields

column-id = Id
column-name = Name
column-nickname = Nickname
column-company = Company
column-partner = Partner
column-state = State
column-connected = Connected
column-verified = Verified
column-chats = Chats
column-lacks-since = Lacks since
column-administrator = Administrator
column-activated = Activated
column-sessions = Sessions
column-since = Since
column-device = Device
column-last-seen = Last used
column-current = This one
column-scopes = Scopes
column-expires = Expires
column-time = Time
column-who = Who
column-what = What
column-subject = Concerning
column-verdict = Verdict
column-check = Check
column-detail = Detail
column-try = Try
column-place = Place
column-reason = Reason
column-key = Key
column-value = Value
column-origin = Origin
column-title = Title
column-kind = Kind
command-help = Show these commands
command-me = Say what you do
    .arguments = what you do
command-shrug = Shrug
    .arguments = words before it
command-invite = Bring people into this chat
    .arguments = nickname, or nickname@company for a partner's person
command-topic = Give this chat another title
    .arguments = the new title
command-leave = Leave this chat
column-unread = Unread
column-mark = Mark
column-last = Last message
column-text = Text
column-step = Step
column-statement = Statement

field-id = Id
field-name = Name
field-alias = Alias
field-nickname = Nickname
field-company = Company
field-administrator = Administrator
field-device = Device
field-token = Token
field-scopes = Scopes
field-since = Since
field-link = Link
field-expires = Expires
field-ticket = Ticket
field-words = Check words
field-addresses = Addresses
field-address = Address
field-state = State
field-verified = Verified
field-connected = Connected
field-transport = Transport
field-last-seen = Last seen
field-chats = Chats
field-lacks-since = Lacks since
field-refusals = Refusals
field-round-trip-us = Round trip
field-ready = Ready
field-api = API
field-data-dir = Data folder
field-users = Users
field-journal = Journal
field-free-disk = Free disk
field-index-lag = Index behind by
field-started = Started
field-version = Version
field-records = Records
field-envelopes = Envelopes
field-signatures = Signatures
field-faults = Faults
field-messages = Messages
field-took-ms = Took
field-chat = Chat
field-author = Author
field-sent = Sent
field-arrived = Arrived
field-reply-to = Reply to
field-text = Text
field-edited = Edited
field-earlier = Earlier
field-reactions = Reactions
field-mark = Mark
field-read-by = Read by

## Notes at messages, and lines that the system writes

note-edited = (edited)
note-clock-ahead = (sender's clock is ahead)
note-deleted = deleted by { $name }
note-recalled = recalled before it left
note-unreadable = cannot be read yet
note-needs-newer = needs a newer version of Crossport
service-chat-created = created the chat "{ $title }"
service-chat-opened = opened the chat
service-member-added = was added by { $people }
service-members-removed = removed { $people }
service-member-joined = joined the chat
service-member-left = left the chat
service-card-changed = is shown differently from now on
service-company-added = added the company { $company }
service-company-removed = removed the company { $company }
service-company-left = the company { $company } left
service-title-changed = renamed the chat to "{ $title }"
service-role-changed = changed the role of { $people }
service-member-barred = barred { $people }
service-access-reset = the access of { $people } was reset by an administrator
service-no-such-person = nobody is called { $people }
service-resumed = the node of { $company } continued after a restore
service-continued = went on in another chat
service-continued-in = went on in the chat "{ $title }"

## Done

done-login = signed in as { $person } (profile { $profile })
done-logout = signed out ({ $profile })
done-partner-active = { $name } is now a partner
done-partner-waiting = waiting for { $name } to answer
done-partner-verified = the words of { $name } were compared
done-partner-paused = the partnership with { $name } is paused
done-partner-resumed = the partnership with { $name } goes on
done-partner-removed = { $name } is no longer a partner
done-chat-new = opened { $title } ({ $id })
done-sent = { $id } to { $title }  { $mark }
done-forwarded = forwarded as { $id }
done-topic = the chat is called { $title } now
done-read = { $title }: { $unread } unread
done-left = left { $title }
done-edited = edited { $id }
done-deleted = deleted { $id }
done-reacted = reacted to { $id }
done-unreacted = took the reaction to { $id } back
done-recalled = recalled { $id }: it never left this node

## Questions

ask-reset = End every session of { $name } and make a new link?
ask-words = Ask { $name } to read out their words. Are they exactly: { $words }?
ask-words-typed = type the words that the partner reads out after its name
ask-partner-remove = End the partnership with { $name }?
ask-member-remove = Remove { $name } from { $title }?
ask-leave = Leave { $title }?
ask-delete = Delete { $id } for everyone?

## Hints

hint-nothing-here = nothing here yet
ask-password = Password:
ask-current-password = Your present password:
ask-new-password = New password (10 characters or more):
ask-new-password-or-none = Password for signing in elsewhere (10 characters or more, empty for none):
ask-password-again = Once more:
passwords-differ = the two differ
password-too-short = { $count ->
    [one] it needs at least { $count } character
   *[other] it needs at least { $count } characters
}
token-lacks-scope = this token lacks the scope { $scope }
done-password = the password is set; your other sessions have ended
hint-token = This is the only time that the token is shown. A program sends it as: Authorization: Bearer TOKEN
hint-activation = Give this link to that person; it works once. In a terminal: crossport login '{ $link }'
hint-paste-link = Paste the link from your administrator, then Enter:
hint-not-encrypted = { $address } is not encrypted: use an SSH tunnel, or the browser behind a proxy with TLS
hint-invitation = Send the ticket to the other company. They run: crossport up --join TICKET, or crossport partner accept TICKET
hint-verify = Compare the check words by telephone: crossport partner verify '{ $name }'
hint-no-partner = Make a ticket for another company: crossport partner invite
hint-no-contact = A partner's people appear once you share a chat: crossport chat new NICKNAME@COMPANY
hint-no-chat = Write to somebody: crossport chat new NICKNAME@COMPANY
hint-unknown-variable = { $name } is set and means nothing to Crossport
hint-more = There is more: --cursor { $cursor }
hint-older = There is more above: --before { $cursor }
hint-lag = ! not delivered to { $company } since { $at } ({ $since })
hint-lag-in = ! { $title }: not delivered to { $company } since { $at } ({ $since })
hint-frozen = Nothing can be written now: { $reason }
hint-connection-lost = Connection lost ({ $reason }), trying again
hint-connection-restored = Connected again
hint-receipt = { $id } { $mark } read by { $people } of { $of }
hint-receipt-overdue = { $id } { $mark } not stored everywhere yet: crossport msg receipts { $id }
hint-after-init = Start the node: crossport up
hint-after-up = Next: crossport user add NICKNAME, crossport partner invite. Ctrl+C stops the node.

progress-verify = verifying
progress-rebuild = rebuilding
verify-first-fault = at { $place }: { $reason }
work-ended-early = the node stopped in the middle

## Checks of the doctor

check-disk = disk
check-permissions = permissions
check-listen = listens at
check-partner = partner { $name }
doctor-disk-free = { $free } free
doctor-disk-try = free some space
doctor-private = nobody else can read the data folder
doctor-readable = others can read the data folder (mode { $mode })
doctor-listen-try = look at the log: an address may be taken
doctor-paused = paused
doctor-not-connected = not connected
doctor-clocks-differ = clocks differ by { $seconds } s
doctor-clocks-try = set the clock of whoever is wrong, for example with NTP
doctor-connected = connected

## Keys of the configuration

config-data-dir = The folder that everything is in.
config-company = The company's name; needed only when the company is made.
config-listen-tcp = Where partners' nodes connect over TCP, or off.
config-listen-quic = Where partners' nodes connect over QUIC (UDP), or off.
config-announce = Addresses that tickets carry, host:port each; empty = those of the network interfaces.
config-api-listen = Where people's clients connect. Keep it on loopback and put a proxy with TLS before it.
config-api-url = What links to this node begin with; empty = http:// and api_listen.
config-passphrase-file = A file with the passphrase that seals the keys; empty = the keys are protected by file permissions only.
config-lang = Language of the node's own texts.
config-log = What is logged, as a filter: info, or crossport_node=debug,info.
config-log-format = How log lines look.
config-overdue-after-s = Seconds until a message that a company lacks counts as overdue.
config-notice-after-s = Seconds until lists of chats name that company to the sender.
config-invitation-expires-s = Seconds that a ticket is valid if the inviter names no time.
config-activation-expires-s = Seconds that a link for a new person is valid.
config-dial-backoff-max-s = Longest wait between two attempts to reach a partner.
config-tick-ms = Longest that a timer may be late.
config-index-cache-mib = Memory for the index.
config-journal-segment-mib = Size at which the journal begins a new file.

## Nodes started by this program

up-address-try = choose another address: --listen-tcp, --listen-quic, --api-listen
stage-interrupted = ended by Ctrl+C or SIGTERM
stage-late = { $what }: not within { $seconds } s
stage-ended = the node of { $name } ended: { $status }

## Demo

figure-ms = { $number } ms
figure-s = { $number } s
demo-title = Crossport: two companies, two nodes, one machine
demo-intro = Everything is in { $folder } and is removed at the end.
    Each ✓ was read back through the API before it was printed.
demo-expected = { $what }: expected { $expected }, saw { $seen }

demo-act-companies = Two companies, each with a node of its own
demo-ready = { $name } is up: { $api }, process { $process }
demo-own-keys = each made its own keys, data folder and journal; nothing is shared

demo-act-pairing = They become partners
demo-ticket = Acme makes a single-use ticket: { $ticket }…
demo-approved = Globex accepts: both approved, linked over { $transport }
demo-words = { $here } hears from { $there }: { $words }
demo-verified = the words agree on both sides; wrong words were refused

demo-act-people = People open their accounts
demo-name-anna = Anna Orlova
demo-name-alex = Alex Frost
demo-name-boris = Boris Green
demo-name-bella = Bella Stone
demo-name-olga = Olga Winter
demo-person = { $name }: { $nickname } at { $company }
demo-signed-in = all four signed in; each link worked once and never again

demo-act-direct = Anna writes to Boris at the other company
demo-line-hello = Good morning, Boris! Does Thursday suit you?
demo-line-answer = Thursday is fine. Ten o'clock, at your place?
demo-line-edited = Good morning, Boris! Does Thursday at ten suit you?
demo-line-slip = Oops, this was meant for somebody else.
demo-mark-here = ○   on Acme's disk when it was acknowledged
demo-mark-everywhere = ●   on Globex's disk, signed: statement { $statement }…
demo-mark-read = ●●  read by { $name } at { $time }
demo-answered = his answer is at Anna's, and so is his 👍
demo-edited = (edited) { $text }
demo-fact-edited = Boris sees the new text, and the first one as history
demo-fact-deleted = he deletes it: the text is gone at both companies

demo-act-group = A group of four: "{ $title }"
demo-group-title = Autumn launch
demo-group-there = all four have it, at both companies
demo-line-group-anna = Welcome! Here we prepare the launch.
demo-line-group-bella = Globex brings the hall and the chairs.
demo-line-group-alex = Acme brings the machine. And a spare one.
demo-line-group-boris = Then I bring the cake.
demo-group-same = four people read the same four messages in the same order
demo-group-read = ●●  read by 3 of 3: { $names }

demo-act-gone = Globex goes down in the middle of everything
demo-killed = its process { $process } was killed (SIGKILL); Acme noticed
demo-line-away = The machine arrives on Wednesday.
demo-line-away-more = The machine arrives on Wednesday. Remark { $number }.
demo-wrote-on = ○   { $count } messages by Anna and Alex, each on Acme's disk
demo-not-delivered = each of them says: not delivered to Globex since { $time }
demo-line-recalled = Between us: their chairs squeak.
demo-recalled = recalled: it provably never left Acme, and its text is erased
demo-recall-refused = recalling a message that did leave is refused, and says so

demo-act-back = Globex comes back, and nobody writes
demo-restarted = started again, its journal checked
demo-caught-up = all { $count } missed messages are there, once each, in order
demo-nobody-wrote = nobody wrote to bring this about; Boris has { $count } unread
demo-recall-held = of the recalled message only a tombstone came, never the text
demo-marks-turned = ●   all { $count } marks turned: stored everywhere

demo-act-evidence = What Acme can show afterwards
demo-receipt = { $id }  stored at Globex { $time }  statement { $statement }…
demo-receipts = { $count } messages are covered by { $statements ->
        [one] a delivery statement
       *[other] { $statements } delivery statements
    } signed by Globex
demo-road = { $id }: { $hops }
demo-verified-journal = { $name }'s journal verified: { $records } records, { $signatures } signatures, no fault

demo-act-administrator = An administrator wants to look into the chats
demo-operator-refused = the operator's socket refuses all { $count } ways to read a chat
demo-operator-silent = { $count } reports for operators, { $bytes } bytes: not a word or title of a chat
demo-outsider = { $name }, an administrator with an account, finds no chat of others
demo-reset = resetting access ({ $name }) ends all sessions, and the chats are told
demo-disk = nothing of it is readable on disk ({ $texts } texts and tokens, { $files } files, { $mib } MiB)

demo-act-end = The end
demo-sum = { $checks } checks, all true, in { $time }
demo-try = Watch as Anna, watch as Boris, and write, each in another terminal:
demo-try-text = Hello from the terminal
demo-next = Next: crossport demo --stay to write yourself, crossport up --company NAME for a node of your own
demo-stays = Both nodes stay up. Ctrl+C ends them and removes the folder.

## Benchmarks

column-figure = Figure
column-spread = Runs from…to
column-aim = Aim
column-reached = Reached
column-rivals = Others, same path
bench-missed = no: { $times } times off
bench-not-judged = not judged at this scale
bench-running = measuring: { $name }
bench-filling = { $written } of { $of } messages written
bench-debug-build = This is a debug build: its figures say nothing about Crossport. Build with --release.
bench-in-memory = The folder is in memory ({ $kind }): commits cost nothing there. Choose one on a disk: --folder
bench-calibration = { $cores } cores, { $processor }, { $filesystem }; one core signs { $sign } and verifies { $verify } a second; 4 KiB with fdatasync takes { $sync } ms.
    Values are medians of { $runs } runs; both nodes and this program shared the machine.
bench-throughput-messages-per-s = messages end to end, 200 bytes, 64 in flight
    .rivals = Prosody 1426 (best 2664, no fsync); on SQLite 170–432; ejabberd 132–543; Synapse 24
bench-throughput-cpu-ms-per-message = processor time of both nodes a message
    .rivals = Prosody 0.7–1.5; Synapse 45
bench-group-messages-per-s = messages to a group of 2 × 5 people, to all
    .rivals = Prosody 269
bench-latency-p50-ms = author to reader at 20 a second, p50
    .rivals = Prosody on files 1.9; ejabberd 5; Synapse 57
bench-latency-p99-ms = author to reader at 20 a second, p99
    .rivals = Prosody on files 8–10; ejabberd 6–15; Synapse 97
bench-latency-acknowledged-p50-ms = durable and acknowledged at 20 a second, p50
bench-receipt-in-a-row-p50-ms = read, back at the author, p50, one after another
bench-receipt-p50-ms = read, back at the author, p50
    .rivals = 1.5–31
bench-catch-up-link-s = link up after the partner listens
bench-catch-up-all-s = 5,000 missed messages, after the link is up
    .rivals = Prosody's room 49 by hand; Synapse 826 of 1,000 in 37; XMPP one-to-one: bounced
bench-kill-lost = lost when the receiver is killed under load
    .rivals = Prosody bounced 18 %; ejabberd 77–105 gone silently
bench-kill-doubled = doubled when the receiver is killed under load
bench-join-newest-page-s = joining a chat of 10,000: newest page
bench-join-all-s = joining a chat of 10,000: all
    .rivals = ejabberd 1.3; Prosody on SQLite 27
bench-idle-memory-mib = memory of an idle node
    .rivals = 17–118
bench-idle-start-s = start to ready, empty
    .rivals = 0.13–2.3
bench-size-memory-mib = memory with all messages, after writing them
bench-size-memory-restarted-mib = memory with all messages, after a start
bench-size-disk-mib-per-10k = disk for each 10,000 messages
    .rivals = 6.4–62
bench-size-page-ms = page of 50
bench-size-start-s = start to ready with all messages
bench-size-killed-start-s = start after a kill to a page and a message each way
bench-size-rebuild-s = index made anew from the journal

## Help

help-usage = Usage:
help-commands = Commands
help-arguments = Arguments
help-options = Options
help-global = Global options
help-group-begin = To begin
help-group-talk = To talk
help-group-run = To run a node
help-group-more = And also
help-examples = Examples:
help-help = Print help
help-version = Print the version
help-aliases = also
help-choices = one of
help-default = default
help-environment = env

cli = A messenger between companies: each runs its own node, and messages come with proof
    .json = Print documents of the HTTP API
    .quiet = Print only ids, and no hints
    .color = Colours
    .yes = Answer yes to questions
    .lang = Language; else the locale
    .data-dir = Data folder of the node, for its operator
    .config = Configuration file; else crossport.toml in the data folder
    .credentials = File with people's credentials; else in the configuration folder of the user
    .profile = Who acts: a profile of the credentials, or its beginning; else the last login
    .client-id = Makes a write repeatable: the same id never does it twice
    .examples =
        # A node from nothing, and a link for its first person
        crossport up --company Acme
        # The same person, in a terminal
        crossport login 'http://127.0.0.1:8460/#SECRET'
        crossport chat send boris 'Hello!'

cli-demo = Show on this machine how two companies talk, lose each other and catch up
    .more = Starts two nodes in a temporary folder, tells a story and checks each line of it through the API. Exit code 0 only if everything was true. On a terminal both nodes then stay up, with commands to try; Ctrl+C ends them.
    .stay = Stay up at the end, also where no terminal is
    .exit = Exit at the end, also on a terminal
    .examples =
        crossport demo
        # As a test, in Russian
        crossport demo --exit --lang ru

cli-bench = Measure this program on this machine
    .examples =
        crossport bench federation
        crossport bench federation --only latency

cli-bench-federation = Measure two companies on this machine: rate, delay, catch-up, memory
    .more = Starts real nodes as processes, linked over loopback, with every message durable. Values are medians of five runs, beside what the machine itself can do. A missed aim is told; exit code 1 only if something could not be measured. At full scale one scenario writes a million messages.
    .only = Only this scenario; may be repeated
    .scale = quick: minutes; full: the amounts of the aims
    .folder = Where the nodes keep their data while it lasts; else the folder for temporary files
    .examples =
        crossport bench federation
        # One scenario, as a document
        crossport --json bench federation --only throughput

cli-up = Start the node of a company, made first if it is not there
    .more = Prints the company, the words to compare, addresses, and a single-use link for the first administrator. Runs until Ctrl+C or SIGTERM.
    .company = Name of the company; needed the first time
    .listen-tcp = Where partners connect over TCP, or off
    .listen-quic = Where partners connect over QUIC, or off
    .api-listen = Where people's clients connect
    .announce = An address that tickets carry; may be repeated
    .set = Any key of the configuration; may be repeated
    .join = Accept this ticket of another company
    .admin = Nickname of the first administrator; else the name of whoever starts the node
    .with-parent = Stop when standard input ends: for programs that start nodes
    .examples =
        # The first company
        crossport up --company Acme
        # The second, on another machine, joining the first by its ticket
        crossport up --company Globex --join TICKET
        # A second node on the same machine
        crossport up --data-dir ./globex --company Globex \
            --api-listen 127.0.0.1:8470 --listen-tcp 127.0.0.1:8471 --listen-quic off

cli-init = Make the company and its keys without starting the node
    .company = Name of the company
    .listen-tcp = Where partners connect over TCP, or off
    .listen-quic = Where partners connect over QUIC, or off
    .api-listen = Where people's clients connect
    .announce = An address that tickets carry; may be repeated
    .set = Any key of the configuration; may be repeated
    .examples =
        crossport init --company Acme
        # Elsewhere
        crossport --data-dir /srv/crossport init --company Acme

cli-status = Show the node: company, addresses, partners, disk
    .examples =
        crossport status
        # Is every partner connected?
        crossport status --json | jq '.partners[] | select(.connected | not)'

cli-doctor = Check disk, clock, ports, permissions and partners, and say what to do
    .more = Exit code 1 if a check failed, so that monitoring may call it.
    .examples =
        crossport doctor
        crossport doctor --quiet && echo 'all is well'

cli-user = People of your company
    .examples =
        crossport user add anna --name 'Anna Orlova'
        crossport user list

cli-user-add = Add a person and print the single-use link that opens their account
    .more = With --as an administrator acts from their own session. The link is a secret. A person who lost it gets another: crossport user reset.
    .nickname = What others type: a-z, 0-9, dot, underscore, hyphen
    .name = Full name
    .administrator = May configure the company's chats
    .examples =
        crossport user add anna --name 'Anna Orlova'
        crossport user add boris --administrator --json

cli-user-list = List people of your company
    .examples =
        crossport user list
        crossport user ls --json

cli-user-reset = End every session of a person and print a new link
    .more = That person and everyone in their chats see that it happened: an administrator cannot become another person unnoticed.
    .nickname = Whose access is reset
    .examples =
        crossport user reset anna
        crossport --yes user reset anna

cli-login = Sign in on this machine with the link from your administrator, or with a password
    .more = The link works once. Without an argument it is read from standard input, where it does not show in the list of processes. Passwords are asked for on a terminal, and are the next line of standard input elsewhere.
    .link = Address and secret in one; with --user the address alone (a node of this machine if absent)
    .user = Sign in with a password, by nickname
    .nickname = What others type, in place of what the invitation says
    .name = Full name, in place of what the invitation says
    .password = Set a password, to sign in elsewhere later
    .device = How this device is listed among your sessions
    .examples =
        crossport login 'http://127.0.0.1:8460/#SECRET'
        # From a file, under a name of its own
        cat link.txt | crossport --as boris login
        # Elsewhere, later
        crossport login --user anna http://127.0.0.1:8460

cli-logout = End this session and forget its token
    .local = Only forget it here; for a node that is gone
    .examples =
        crossport logout
        crossport --as boris logout --local

cli-whoami = Show who is signed in
    .examples =
        crossport whoami
        crossport --as boris whoami --json

cli-account = Your own account
    .examples =
        crossport account password
        crossport --as boris account password

cli-account-password = Set your password, or another one
    .more = Your other sessions end. The passwords are asked for on a terminal; elsewhere they are lines of standard input: the present one, if there is one, and the new one.
    .examples =
        crossport account password
        cat passwords.txt | crossport account password

cli-device = Devices on which you are signed in
    .examples =
        crossport device list
        crossport device revoke --others

cli-device-list = List the devices on which you are signed in
    .examples =
        crossport device list
        crossport device ls --json

cli-device-revoke = End the session of a device, or of all others
    .more = It takes effect at once; what the device has open ends too.
    .device = The beginning of its id
    .others = All but this one
    .examples =
        crossport device revoke 3fa9
        crossport device revoke --others

cli-token = Tokens for your programs
    .examples =
        crossport token add backup --scope read
        crossport token list

cli-token-add = Make a token for a program and print it, once
    .more = The program acts as you, as far as the scopes reach: read sees what you see, write acts in your chats, admin administers people if you may. No token reaches your password, devices or tokens.
    .name = How you recognise it
    .scope = What it reaches; may be given several times
    .expires = When it becomes void: 90s, 15m, 2h, 7d; without it, never
    .examples =
        crossport token add backup --scope read --expires 90d
        crossport token add bot --scope read --scope write -q

cli-token-list = List the tokens of your programs
    .examples =
        crossport token list
        crossport token ls --json

cli-token-revoke = Make a token void
    .more = It takes effect at once; what the program has open ends too.
    .token = The beginning of its id
    .examples =
        crossport token revoke 3fa9
        crossport --as boris token rm 3fa9

cli-partner = Other companies
    .examples =
        crossport partner invite
        crossport partner list

cli-partner-invite = Print a ticket for another company
    .more = Making the ticket is your approval; accepting it is theirs. Whoever has it can pair once, so send it as you would send a secret.
    .expires = How long it is valid: 90s, 15m, 2h, 7d
    .alias = How you will call the partner
    .examples =
        crossport partner invite
        crossport partner invite --expires 2h --alias globex

cli-partner-accept = Accept a ticket of another company
    .ticket = The ticket; else from standard input
    .alias = How you will call the partner
    .examples =
        crossport partner accept TICKET
        cat ticket.txt | crossport partner accept --alias acme

cli-partner-verify = Record that people compared the words
    .more = Ask the partner by telephone to read out the words that their crossport status shows. Only then is it certain that nobody stands between.
    .partner = Name, alias or id
    .words = The words as they were read out; without them you are asked
    .examples =
        crossport partner verify globex
        crossport partner verify globex lugnaz virlil jurlar togpuz gultal tizmal

cli-partner-list = List partners
    .examples =
        crossport partner list
        crossport partner ls --json

cli-partner-show = Show a partner: state, addresses, what it lacks
    .partner = Name, alias or id
    .examples =
        crossport partner show globex
        crossport partner show 3fa9 --json

cli-partner-pause = Exchange nothing with a partner for now
    .partner = Name, alias or id
    .examples =
        crossport partner pause globex
        crossport partner pause 3fa9

cli-partner-resume = Go on with a paused partner
    .partner = Name, alias or id
    .examples =
        crossport partner resume globex
        crossport partner resume 3fa9

cli-partner-remove = End a partnership; chats stay readable
    .partner = Name, alias or id
    .examples =
        crossport partner remove globex
        crossport --yes partner remove 3fa9

cli-partner-ping = Measure the way to a partner's node and back
    .partner = Name, alias or id
    .examples =
        crossport partner ping globex
        crossport partner ping globex --json

cli-contact = People you can write to
    .examples =
        crossport contact list
        crossport contact list orlova

cli-contact-list = List colleagues and partners' people
    .query = Part of a name or nickname
    .examples =
        crossport contact list
        crossport contact list orlova --json

cli-chat = Chats: read and write
    .examples =
        crossport chat new boris@globex
        crossport chat list

cli-chat-new = Open a chat
    .more = One person without a title makes a direct chat; if it is there already, that one is printed.
    .people = nickname, or nickname@company for a partner's person
    .title = Title; needed unless direct
    .kind = Who can be in it
    .from = A message that the new chat begins with; needs a title
    .examples =
        crossport chat new boris@globex
        crossport chat new --title Launch boris@globex vera
        crossport chat new --kind channel --title News vera

cli-chat-list = List chats, last message first
    .limit = How many, 1 to 200
    .cursor = Where the page before ended
    .examples =
        crossport chat list
        crossport chat ls --json --limit 5

cli-chat-show = Show messages of a chat
    .more = Marks at own messages: ○ stored by your node, ● stored by every company's node, ●● read by somebody, ! overdue.
    .chat = Title, nickname of a direct chat, or id
    .limit = How many, 1 to 200
    .before = Page before this cursor or message
    .after = Page after this cursor or message
    .examples =
        crossport chat show Launch
        crossport chat show c0ffee --limit 100 --json

cli-chat-send = Send a message; done when it is on your node's disk
    .chat = Title, nickname of a direct chat, or id
    .text = The text; - or nothing reads standard input
    .reply-to = Message that this answers
    .examples =
        crossport chat send Launch 'We start at nine.'
        git log -1 | crossport chat send Launch -
        # Safe to repeat
        crossport --client-id deploy-42 chat send Launch 'Deployed 42'

cli-chat-watch = Show messages as they come
    .more = Goes on through outages and restarts of the node, missing nothing. A message that changed is shown again.
    .chat = Title, nickname of a direct chat, or id; else all chats
    .last = Begin with this many earlier messages
    .read = Mark what is shown as read
    .count = End after this many new messages
    .timeout = End with exit code 8 after this time: 90s, 15m, 2h
    .examples =
        crossport chat watch Launch --last 10 --read
        # A script that waits for one answer
        crossport chat watch boris --count 1 --timeout 15m --json

cli-chat-read = Mark messages as read
    .chat = Title, nickname of a direct chat, or id
    .up-to = Up to this message; else all
    .examples =
        crossport chat read Launch
        crossport chat read Launch --up-to 3fa9c2e1.0

cli-chat-members = Who is in a chat
    .examples =
        crossport chat members list Launch
        crossport chat members add Launch vera

cli-chat-members-list = List members of a chat
    .chat = Title or id
    .examples =
        crossport chat members list Launch
        crossport chat members ls Launch --json

cli-chat-members-add = Add people to a chat
    .chat = Title or id
    .people = nickname, or nickname@company
    .examples =
        crossport chat members add Launch vera
        crossport chat members add Launch boris@globex gleb@globex

cli-chat-members-remove = Remove a person from a chat
    .chat = Title or id
    .person = nickname, or nickname@company
    .examples =
        crossport chat members remove Launch vera
        crossport --yes chat members remove Launch gleb@globex

cli-chat-topic = Give a chat another title; people of the company that owns it may
    .chat = Title or id
    .title = The new title
    .examples =
        crossport chat topic Launch 'Launch in May'
        crossport chat topic c0ffee 'Launch in May' --json

cli-chat-leave = Leave a chat; what you have stays readable
    .chat = Title or id
    .examples =
        crossport chat leave Launch
        crossport --yes chat leave c0ffee

cli-msg = One message: change it, and see what became of it
    .examples =
        crossport msg show 3fa9c2e1.0
        crossport msg why 3fa9c2e1.0

cli-msg-show = Show a message with its earlier texts
    .message = Id, as chat show prints it
    .examples =
        crossport msg show 3fa9c2e1.0
        crossport msg show 3fa9c2e1.0 --json

cli-msg-edit = Change the text of your message; earlier texts stay visible
    .message = Id
    .text = The new text; - or nothing reads standard input
    .examples =
        crossport msg edit 3fa9c2e1.0 'We start at ten.'
        echo 'We start at ten.' | crossport msg edit 3fa9c2e1.0 -

cli-msg-delete = Delete a message for everyone
    .message = Id
    .examples =
        crossport msg delete 3fa9c2e1.0
        crossport --yes msg delete 3fa9c2e1.0

cli-msg-react = Put an emoji to a message
    .message = Id
    .emoji = One emoji
    .remove = Take it back
    .examples =
        crossport msg react 3fa9c2e1.0 👍
        crossport msg react 3fa9c2e1.0 👍 --remove

cli-msg-forward = Forward a message into another chat
    .message = Id
    .chat = Title, nickname of a direct chat, or id
    .examples =
        crossport msg forward 3fa9c2e1.0 Launch
        crossport msg forward 3fa9c2e1.0 boris --json

cli-msg-thread = Show the replies to a message, and the replies to those
    .message = Id
    .limit = How many, 1 to 200
    .after = Page after this cursor or message
    .examples =
        crossport msg thread 3fa9c2e1.0
        crossport msg thread 3fa9c2e1.0 --json

cli-msg-recall = Take a message back, if it has provably not left your node
    .message = Id
    .examples =
        crossport msg recall 3fa9c2e1.0
        crossport msg recall 3fa9c2e1.0 --json

cli-msg-receipts = Show per company when it was stored, and per person when it was read
    .message = Id
    .examples =
        crossport msg receipts 3fa9c2e1.0
        crossport msg receipts 3fa9c2e1.0 --json

cli-msg-why = Trace a message through every hop
    .message = Id
    .examples =
        crossport msg why 3fa9c2e1.0
        crossport msg why 3fa9c2e1.0 --json

cli-verify = Verify the whole journal: signatures, chains, cuts
    .more = Exit code 7 if anything does not verify; the first bad item is named.
    .examples =
        crossport verify
        crossport verify --json

cli-rebuild = Build the index anew from the journal
    .examples =
        crossport rebuild
        crossport --data-dir /srv/crossport rebuild

cli-config = The configuration
    .examples =
        crossport config show
        crossport config show --origin

cli-config-show = Show the values in force; no node needs to run
    .origin = Also where each came from
    .examples =
        crossport config show --origin
        crossport --data-dir /srv/crossport config show --json

cli-audit = List what administrators did, newest first
    .limit = How many, 1 to 200
    .cursor = Where the page before ended
    .examples =
        crossport audit
        crossport audit --limit 200 --json

cli-metrics = Print the node's metrics for Prometheus
    .examples =
        crossport metrics
        crossport metrics | grep delivery

cli-completions = Print a completion script for a shell
    .shell = The shell
    .examples =
        crossport completions bash > ~/.local/share/bash-completion/completions/crossport
        crossport completions zsh > ~/.zfunc/_crossport

cli-man = Print the manual page, or write all of them
    .out = Folder for one page a command
    .examples =
        crossport man | man -l -
        crossport man --out ~/.local/share/man/man1

cli-version = Print the version
    .examples =
        crossport version
        crossport version --json
