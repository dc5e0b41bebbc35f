# Crossport: все тексты, которые читает человек, по-русски. Ключи и переменные те же, что в en.ftl; их сверяет тест.

## Отказы

problem-request-malformed = запрос не понят
    .cause = программа и узел говорят на разных версиях
    .try = crossport version
problem-value-invalid = «{ $subject }» здесь не подходит
    .try = посмотрите --help этой команды
problem-too-large = «{ $subject }»: слишком длинно
    .cause = в сообщении не больше 65 536 знаков
    .try = сократите или отправьте по частям
problem-client-id-reused = эта запись уже сделана с другим содержанием
    .cause = такой --client-id уже был
    .try = не указывайте --client-id или возьмите новый
problem-too-many-requests = слишком много запросов
    .try = подождите минуту
problem-no-such-endpoint = такого адреса на узле нет
    .try = crossport version
problem-not-signed-in = вход не выполнен
    .cause = сеанс завершён, или доступ сброшен
    .try = попросите у администратора новую ссылку, затем: crossport login
problem-activation-refused = эта ссылка не открывает учётную запись
    .cause = она неполная, просрочена или уже использована
    .try = попросите у администратора новую: crossport user reset NICKNAME
problem-sign-in-refused = имя или пароль не подходят
    .cause = такого человека нет или пароль другой; что из двух, не сообщается
    .try = попросите у администратора новую ссылку: crossport user reset NICKNAME
problem-not-allowed = это вам не разрешено
    .try = crossport whoami, затем попросите того, кому можно: администратора или компанию, которой принадлежит чат
problem-partner-not-found = нет партнёра «{ $subject }»
    .try = crossport partner list
problem-partner-ambiguous = под «{ $subject }» подходит несколько партнёров
    .try = crossport partner list, затем укажите больше знаков идентификатора
problem-ticket-unreadable = это не билет
    .cause = он повреждён или неполон
    .try = скопируйте его ещё раз целиком
problem-ticket-expired = срок билета истёк
    .try = попросите у другой компании новый: crossport partner invite
problem-ticket-used = билет уже использован
    .try = попросите у другой компании новый: crossport partner invite
problem-ticket-own = этот билет выдала ваша же компания
    .try = передайте его другой компании
problem-words-differ = слова компании «{ $subject }» не совпали
    .cause = опечатка, или между компаниями кто-то стоит
    .try = сверьте ещё раз по телефону: crossport partner verify
problem-partner-paused = обмен с «{ $subject }» приостановлен
    .try = crossport partner resume "{ $subject }"
problem-partner-unreachable = узел компании «{ $subject }» не отвечает
    .try = crossport partner show "{ $subject }"
problem-partner-exists = «{ $subject }» уже партнёр
    .try = crossport partner show "{ $subject }"
problem-partner-not-active = «{ $subject }» сейчас не партнёр
    .cause = другая компания ещё не ответила, или партнёрство окончено
    .try = crossport partner list
problem-partner-refused = партнёр «{ $subject }» отказал
    .try = попросите новый билет: crossport partner invite
problem-chat-not-found = у вас нет чата «{ $subject }»
    .try = crossport chat list
problem-person-not-found = никого не зовут «{ $subject }»
    .try = crossport contact list
problem-person-ambiguous = под «{ $subject }» подходит несколько человек
    .try = crossport contact list, затем укажите ник@компания
problem-message-not-found = в ваших чатах нет сообщения «{ $subject }»
    .try = crossport chat show CHAT
problem-id-ambiguous = под «{ $subject }» подходит не одно
    .try = укажите больше знаков идентификатора
problem-not-your-message = это не ваше сообщение
    .cause = изменить сообщение может только автор
    .try = crossport msg show СООБЩЕНИЕ
problem-recall-too-late = отозвать сообщение уже нельзя
    .cause = оно могло уйти с узла
    .try = crossport msg delete MESSAGE
problem-chat-closed = в «{ $subject }» писать нельзя
    .cause = вы или ваша компания вышли из чата или были удалены
    .try = crossport chat list или откройте новый: crossport chat new
problem-chat-kind-forbids = такой чат этого не допускает
    .try = crossport chat new --help
problem-nickname-taken = ник «{ $subject }» занят
    .cause = так уже зовут кого-то в вашей компании
    .try = crossport user list
problem-message-gone = это сообщение удалено
    .try = crossport chat show ЧАТ
problem-not-there = в вашем списке нет «{ $subject }»
    .try = посмотрите ещё раз: crossport device list, crossport token list
problem-disk-full = диск узла полон, ничего не принято
    .try = освободите место: узел продолжит сам
problem-storage-failed = диск узла отказал, узел останавливается, чтобы ничего не потерять
    .try = посмотрите журнал, проверьте диск, запустите снова: crossport up
problem-internal = узел не смог этого сделать
    .cause = ошибка в Crossport
    .try = посмотрите журнал и сообщите о ней
problem-not-ready = узел ещё не готов
    .try = подождите немного: crossport status
problem-already-running = это уже делается
    .try = crossport status
problem-node-unreachable = узел не отвечает: { $subject }
    .try = crossport up, или укажите его папку: --data-dir
problem-answer-unreadable = ответ от { $subject } не от Crossport
    .cause = там слушает что-то другое, или у узла другая версия
    .try = crossport version
problem-timed-out = { $subject }: слишком долго
    .try = crossport doctor
problem-no-credentials = { $subject ->
    [none] здесь никто не вошёл
   *[other] здесь никто не вошёл как «{ $subject }»
}
    .try = crossport login со ссылкой от администратора
problem-credentials-unsafe = учётные данные в { $subject } могут прочесть другие
    .try = закройте файл от других: chmod 600 ФАЙЛ
problem-config-invalid = настройки не годятся: { $subject }
    .try = crossport config show --origin
problem-file-failed = { $subject }: не удалось прочесть или записать
    .try = проверьте, есть ли это, кому оно доступно и не полон ли диск
problem-verification-failed = проверка нашла ошибок: { $subject }
    .try = остановите узел, сохраните копию его папки и восстановите из резервной копии
problem-not-confirmed = не подтверждено: { $subject }
    .try = --yes
problem-company-exists = компания «{ $subject }» здесь уже есть
    .try = crossport up
problem-failed = не удалось: { $subject }
    .try = crossport doctor
problem-usage = { $subject }
    .try = crossport --help

## Причины: почему не вышло, там, где человек может что-то сделать

reason-not-found = такого файла или папки нет
reason-permission-denied = доступ запрещён
reason-address-in-use = там уже слушает другая программа
reason-address-not-here = у этой машины нет такого адреса
reason-reach-node = посмотрите, работает ли там узел и верен ли адрес
reason-nobody-listens = там никто не слушает
reason-connection-broke = связь оборвалась
reason-no-answer = ответа вовремя не было
reason-disk-full = на диске нет места
reason-disk-read-only = диск доступен только для чтения
reason-not-a-folder = часть пути не папка
reason-is-a-folder = это папка
reason-already-there = там уже что-то есть
reason-node-runs = с этой папкой данных уже работает узел
reason-no-name = новой компании нужно название
reason-bad-name = в названии компании от 1 до { $limit } знаков в одну строку
reason-identity-damaged = файл с личностью компании повреждён
reason-cannot-listen = не удалось слушать { $address }: { $cause }
reason-plain-http = по HTTP без шифрования на { $address } токены и тексты шли бы открыто
reason-core-ended = узел неожиданно завершился
reason-keys-readable = ключи могут прочесть другие (режим { $mode })
reason-keys-damaged = файл с ключами повреждён или не от Crossport
reason-wrong-passphrase = этот пароль ключей не открывает
reason-needs-passphrase = ключи запечатаны паролем: укажите файл с ним
reason-foreign-store = ключи и журнал не от одного узла
reason-newer-format = это записала более новая версия Crossport
reason-pairing-busy = слишком много запросов на партнёрство сразу
reason-no-address = ни один адрес не известен
reason-nobody-answers = по его адресам никто не отвечает
reason-another-node = там отвечает другой узел
reason-this-node = это и есть ваш узел
reason-not-approved = другая компания не знает вашу как партнёра
reason-paused-there = другая компания приостановила обмен
reason-too-many-connections = слишком много соединений
reason-not-connected = партнёр не на связи
reason-not-their-node = ответил узел не той компании
reason-ticket-prefix = билет начинается с { $prefix }
reason-not-owner = это может только компания, которой принадлежит чат
reason-restored-unsure = узел восстановлен и ждёт, пока партнёры подтвердят, что более поздних решений не знают
reason-no-chat-key = ключа этого чата здесь ещё нет
reason-chat-needs-newer = этому чату нужна более новая версия Crossport
reason-not-member = ваша компания в этом чате не участвует
reason-too-many-streams = ваша компания слишком часто восстанавливалась в этом чате: продолжайте в новом
reason-too-many-bytes = байтов: { $found }, помещается не больше { $limit }
reason-empty = здесь пусто
reason-too-many-characters = знаков: { $found }, можно не больше { $limit }
reason-control-character = есть управляющий знак ({ $character })
reason-not-an-emoji = это не один эмодзи
reason-foreign-host = этого имени узел не обслуживает; см. ключ api_url
reason-another-site = об этом попросила страница другого сайта
reason-too-many-feeds = у этого сеанса открыто слишком много лент изменений
setting-malformed = строка { $line }: { $cause }
setting-unknown = { $origin }: такого ключа нет
setting-misspelt = { $origin }: такого ключа нет; возможно, { $near }?
setting-invalid = { $origin }: «{ $value }»: { $reason }
setting-not-off = выключить нельзя
setting-no-home = домашняя папка не известна, укажите папку данных
setting-unreachable = если выключен и listen_quic, ни один партнёр не достучится до узла
setting-list = нужен список строк
setting-text = нужна строка в кавычках
setting-address = адрес состоит из IP и порта, например 127.0.0.1:8460 или [::]:8461; либо off
setting-number = нужно целое число от { $least } до { $most }
setting-choice = нужно одно из: { $choices }
origin-default = по умолчанию
origin-file = файл { $name }
origin-environment = переменная { $name }
origin-flag = параметр { $name }
frozen-owner-forked = компания-владелец подписала две истории о том, кто участвует; решать её людям

## Ошибки в командной строке

usage-unknown-argument = неизвестный параметр { $argument }
usage-unknown-command = неизвестная команда { $command }
usage-value-missing = { $argument }: нужно значение
usage-invalid-value = «{ $value }» не подходит для { $argument }
usage-argument-missing = не хватает: { $argument }
usage-command-missing = не хватает команды
usage-conflict = { $argument } нельзя указать вместе с { $other }
usage-number-of-values = { $argument }: не столько значений, сколько нужно
usage-title-missing = такому чату нужно название
usage-did-you-mean = возможно, { $name }?
usage-choices = можно: { $choices }

error-label = ошибка
error-detail = подробности
error-cause = причина
error-try = попробуйте

## Слова

word-yes = да
word-no = нет
state-waiting = ждём ответа
state-active = действует
state-paused = приостановлен
state-quarantined = в карантине
state-removed = удалён
state-invited = приглашён
state-member = участник
kind-direct = личный
kind-group = группа
kind-open = открытый
kind-channel = канал
kind-company = компания
message-text = текст
message-service = служебное
message-deleted = удалено
message-recalled = отозвано
message-unreadable = не читается
message-needs-newer = нужна новая версия
verdict-ok = хорошо
verdict-warning = внимание
verdict-failed = плохо
audit-operator = оператор (uid { $uid })
audit-ticket = тот, у кого был билет
audit-node = сам узел
receipt-stored = сохранено
receipt-overdue = не доставлено, просрочено
receipt-not-delivered = не доставлено с
receipt-read = прочитано
receipt-unread = ещё не прочитано
receipt-read-by = прочитали { $people } из { $of }
hop-signed = подписано
hop-stored = сохранено здесь
hop-received = получено здесь
hop-released = выпущено (отзыв больше невозможен)
hop-sent = отправлено
hop-delivered = доставлено
hop-not-delivered = не доставлено с
hop-read = прочитано
hop-void = недействительно
road-linked = на связи по { $transport } с { $address }
road-no-link = нет связи
road-statement = расписка { $statement }
size-bytes = { $number } Б
size-kib = { $number } КиБ
size-mib = { $number } МиБ
size-gib = { $number } ГиБ
size-tib = { $number } ТиБ

## Время

time-now = только что
time-minutes-ago = { $count } мин назад
time-hours-ago = { $count } ч назад
time-days-ago = { $count ->
    [one] { $count } день назад
    [few] { $count } дня назад
   *[many] { $count } дней назад
}
time-minutes-ahead = через { $count } мин
time-hours-ahead = через { $count } ч
time-days-ahead = { $count ->
    [one] через { $count } день
    [few] через { $count } дня
   *[many] через { $count } дней
}

## Столбцы и поля

column-id = Id
column-name = Имя
column-nickname = Ник
column-company = Компания
column-partner = Партнёр
column-state = Состояние
column-connected = На связи
column-verified = Сверен
column-chats = Чаты
column-lacks-since = Не доставлено с
column-administrator = Администратор
column-activated = Активирован
column-sessions = Сеансы
column-since = Начало
column-device = Устройство
column-last-seen = Последний раз
column-current = Это
column-scopes = Права
column-expires = Истекает
column-time = Время
column-who = Кто
column-what = Что
column-subject = О ком
column-verdict = Оценка
column-check = Проверка
column-detail = Подробности
column-try = Попробуйте
column-place = Место
column-reason = Причина
column-key = Ключ
column-value = Значение
column-origin = Откуда
column-title = Название
column-kind = Вид
command-help = Показать эти команды
command-me = Сказать, что вы делаете
    .arguments = что вы делаете
command-shrug = Пожать плечами
    .arguments = слова перед этим
command-invite = Позвать людей в этот чат
    .arguments = ник, а для человека партнёра ник@компания
command-topic = Дать этому чату другое название
    .arguments = новое название
command-leave = Покинуть этот чат
column-unread = Новых
column-mark = Знак
column-last = Последнее сообщение
column-text = Текст
column-step = Шаг
column-statement = Расписка

field-id = Id
field-name = Имя
field-alias = Как зовём
field-nickname = Ник
field-company = Компания
field-administrator = Администратор
field-token = Ключ
field-scopes = Права
field-device = Устройство
field-since = Начало
field-link = Ссылка
field-expires = Истекает
field-ticket = Билет
field-words = Слова для сверки
field-addresses = Адреса
field-address = Адрес
field-state = Состояние
field-verified = Сверен
field-connected = На связи
field-transport = Транспорт
field-last-seen = Последняя связь
field-chats = Чаты
field-lacks-since = Не доставлено с
field-refusals = Отказы
field-round-trip-us = Туда и обратно
field-ready = Готов
field-api = API
field-data-dir = Папка данных
field-users = Люди
field-journal = Журнал
field-free-disk = Свободно на диске
field-index-lag = Индекс отстаёт на
field-started = Запущен
field-version = Версия
field-records = Записи
field-envelopes = Конверты
field-signatures = Подписи
field-faults = Ошибки
field-messages = Сообщения
field-took-ms = Заняло
field-chat = Чат
field-author = Автор
field-sent = Отправлено
field-arrived = Получено
field-reply-to = Ответ на
field-text = Текст
field-edited = Изменено
field-earlier = Раньше
field-reactions = Реакции
field-mark = Знак
field-read-by = Прочитали

## Пометки у сообщений и служебные строки

note-edited = (изменено)
note-clock-ahead = (часы отправителя спешат)
note-deleted = удалено: { $name }
note-recalled = отозвано до отправки
note-unreadable = пока не читается
note-needs-newer = нужна более новая версия Crossport
service-chat-created = создание чата «{ $title }»
service-chat-opened = открытие чата
service-member-added = теперь в чате, по приглашению: { $people }
service-members-removed = удалены: { $people }
service-member-joined = теперь в чате
service-member-left = больше не в чате
service-card-changed = теперь показывается иначе
service-company-added = добавлена компания { $company }
service-company-removed = удалена компания { $company }
service-company-left = компания { $company } вышла
service-title-changed = новое название чата: «{ $title }»
service-role-changed = изменена роль: { $people }
service-member-barred = закрыт доступ: { $people }
service-access-reset = администратор сбросил доступ: { $people }
service-no-such-person = там никого не зовут { $people }
service-resumed = узел компании { $company } продолжил работу после восстановления
service-continued = разговор продолжен в другом чате
service-continued-in = разговор продолжен в чате «{ $title }»

## Сделано

done-login = вход выполнен: { $person } (профиль { $profile })
done-logout = выход выполнен ({ $profile })
done-partner-active = { $name } теперь партнёр
done-partner-waiting = ждём ответа: { $name }
done-partner-verified = слова сверены: { $name }
done-partner-paused = обмен приостановлен: { $name }
done-partner-resumed = обмен продолжается: { $name }
done-partner-removed = { $name } больше не партнёр
done-chat-new = открыт чат { $title } ({ $id })
done-sent = { $id } в { $title }  { $mark }
done-forwarded = переслано как { $id }
done-topic = чат теперь называется { $title }
done-read = { $title }: новых { $unread }
done-left = вы вышли: { $title }
done-edited = изменено: { $id }
done-deleted = удалено: { $id }
done-reacted = реакция поставлена: { $id }
done-unreacted = реакция снята: { $id }
done-recalled = отозвано: { $id }, с этого узла оно не уходило

## Вопросы

ask-reset = Завершить все сеансы { $name } и выдать новую ссылку?
ask-words = Попросите { $name } прочесть свои слова. Они в точности такие: { $words }?
ask-words-typed = после имени партнёра наберите слова, которые он прочёл
ask-partner-remove = Прекратить партнёрство с { $name }?
ask-member-remove = Удалить { $name } из чата { $title }?
ask-leave = Выйти из чата { $title }?
ask-delete = Удалить { $id } у всех?

## Подсказки

hint-nothing-here = здесь пока ничего нет
ask-password = Пароль:
ask-current-password = Нынешний пароль:
ask-new-password = Новый пароль (не короче 10 знаков):
ask-new-password-or-none = Пароль для входа с других устройств (не короче 10 знаков; пусто, если не нужен):
ask-password-again = Ещё раз:
passwords-differ = введены разные пароли
password-too-short = { $count ->
    [one] нужен хотя бы { $count } знак
    [few] нужны хотя бы { $count } знака
   *[other] нужно хотя бы { $count } знаков
}
token-lacks-scope = у этого ключа нет права { $scope }
done-password = пароль задан; другие ваши сеансы завершены
hint-token = Этот ключ показан один раз. Программа передаёт его так: Authorization: Bearer TOKEN
hint-activation = Передайте ссылку этому человеку, она сработает один раз. В терминале: crossport login '{ $link }'
hint-paste-link = Вставьте ссылку от администратора, затем Enter:
hint-not-encrypted = { $address } без шифрования: используйте туннель SSH или браузер за прокси с TLS
hint-invitation = Передайте билет другой компании. Там выполнят: crossport up --join TICKET или crossport partner accept TICKET
hint-verify = Сверьте слова по телефону: crossport partner verify '{ $name }'
hint-no-partner = Выдайте билет другой компании: crossport partner invite
hint-no-contact = Люди партнёра появятся, когда у вас будет общий чат: crossport chat new НИК@КОМПАНИЯ
hint-no-chat = Напишите кому-нибудь: crossport chat new НИК@КОМПАНИЯ
hint-unknown-variable = { $name } задана, но Crossport её не знает
hint-more = Есть ещё: --cursor { $cursor }
hint-older = Выше есть ещё: --before { $cursor }
hint-lag = ! не доставлено в { $company } с { $at } ({ $since })
hint-lag-in = ! { $title }: не доставлено в { $company } с { $at } ({ $since })
hint-frozen = Сейчас писать нельзя: { $reason }
hint-connection-lost = Связь потеряна ({ $reason }), пробуем снова
hint-connection-restored = Снова на связи
hint-receipt = { $id } { $mark } прочитали { $people } из { $of }
hint-receipt-overdue = { $id } { $mark } ещё не сохранено везде: crossport msg receipts { $id }
hint-after-init = Запустите узел: crossport up
hint-after-up = Дальше: crossport user add NICKNAME, crossport partner invite. Ctrl+C останавливает узел.

progress-verify = проверка
progress-rebuild = построение
verify-first-fault = { $place }: { $reason }
work-ended-early = узел остановился на середине

## Проверки doctor

check-disk = диск
check-permissions = права доступа
check-listen = адреса
check-partner = партнёр { $name }
doctor-disk-free = свободно { $free }
doctor-disk-try = освободите место
doctor-private = папку данных не читает никто другой
doctor-readable = папку данных могут читать другие (режим { $mode })
doctor-listen-try = посмотрите в журнал работы: адрес может быть занят
doctor-paused = приостановлен
doctor-not-connected = нет связи
doctor-clocks-differ = часы расходятся на { $seconds } с
doctor-clocks-try = поправьте те часы, что врут, например по NTP
doctor-connected = на связи

## Ключи настроек

config-data-dir = Папка, где лежит всё.
config-company = Название компании; нужно только при её создании.
config-listen-tcp = Где узлы партнёров подключаются по TCP, или off.
config-listen-quic = Где узлы партнёров подключаются по QUIC (UDP), или off.
config-announce = Адреса для билетов, каждый как хост:порт; пусто = адреса сетевых интерфейсов.
config-api-listen = Где подключаются программы людей. Оставьте на loopback и поставьте перед ним прокси с TLS.
config-api-url = Чем начинаются ссылки на этот узел; пусто = http:// и api_listen.
config-passphrase-file = Файл с паролем, которым запечатаны ключи; пусто = ключи защищены только правами на файлы.
config-lang = Язык собственных текстов узла.
config-log = Что писать в журнал работы, фильтр: info или crossport_node=debug,info.
config-log-format = Вид строк журнала работы.
config-overdue-after-s = Через сколько секунд сообщение, которого нет у компании, считается просроченным.
config-notice-after-s = Через сколько секунд список чатов называет отправителю эту компанию.
config-invitation-expires-s = Сколько секунд действует билет, если срок не назван.
config-activation-expires-s = Сколько секунд действует ссылка для нового человека.
config-dial-backoff-max-s = Самое долгое ожидание между попытками связаться с партнёром.
config-tick-ms = На сколько самое большее может опоздать таймер.
config-index-cache-mib = Память для индекса.
config-journal-segment-mib = Размер, с которого журнал начинает новый файл.

## Узлы, запущенные самой программой

up-address-try = выберите другой адрес: --listen-tcp, --listen-quic, --api-listen
stage-interrupted = прервано по Ctrl+C или SIGTERM
stage-late = { $what }: не дождались за { $seconds } с
stage-ended = узел компании { $name } завершился: { $status }

## Показ

figure-ms = { $number } мс
figure-s = { $number } с
demo-title = Crossport: две компании, два узла, одна машина
demo-intro = Всё лежит в { $folder } и в конце удаляется.
    Каждая строка с ✓ напечатана только после проверки через API.
demo-expected = { $what }: ожидалось { $expected }, получено { $seen }

demo-act-companies = Две компании, у каждой свой узел
demo-ready = { $name } работает: { $api }, процесс { $process }
demo-own-keys = у каждой свои ключи, папка и журнал; общего нет ничего

demo-act-pairing = Они становятся партнёрами
demo-ticket = Acme выдаёт одноразовый билет: { $ticket }…
demo-approved = Globex принял: согласны обе стороны, связь по { $transport }
demo-words = { $here } слышит от { $there }: { $words }
demo-verified = слова у обеих сторон совпали; неверные были отвергнуты

demo-act-people = Люди открывают учётные записи
demo-name-anna = Анна Орлова
demo-name-alex = Алексей Мороз
demo-name-boris = Борис Зеленин
demo-name-bella = Белла Камень
demo-name-olga = Ольга Зимина
demo-person = { $name }: { $nickname } в { $company }
demo-signed-in = вошли все четверо; каждая ссылка сработала один раз

demo-act-direct = Анна пишет Борису в другую компанию
demo-line-hello = Доброе утро, Борис! Удобно ли вам в четверг?
demo-line-answer = В четверг удобно. В десять, у вас?
demo-line-edited = Доброе утро, Борис! Удобно ли вам в четверг в десять?
demo-line-slip = Ой, это я писал не сюда.
demo-mark-here = ○   на диске Acme ещё до ответа «принято»
demo-mark-everywhere = ●   на диске Globex, за подписью: расписка { $statement }…
demo-mark-read = ●●  прочитано: { $name }, { $time }
demo-answered = его ответ у Анны, и его 👍 тоже
demo-edited = (исправлено) { $text }
demo-fact-edited = Борис видит новый текст, а прежний остался в истории
demo-fact-deleted = он удаляет его: текста больше нет в обеих компаниях

demo-act-group = Группа из четырёх человек: «{ $title }»
demo-group-title = Осенний запуск
demo-group-there = она есть у всех четверых, в обеих компаниях
demo-line-group-anna = Добро пожаловать! Здесь готовим запуск.
demo-line-group-bella = От Globex зал и стулья.
demo-line-group-alex = От Acme станок. И ещё один запасной.
demo-line-group-boris = Тогда с меня торт.
demo-group-same = четверо читают одни и те же четыре сообщения в одном порядке
demo-group-read = ●●  прочитали 3 из 3: { $names }

demo-act-gone = Globex внезапно падает
demo-killed = процесс { $process } убит (SIGKILL); Acme это заметил
demo-line-away = Станок приедет в среду.
demo-line-away-more = Станок приедет в среду. Замечание { $number }.
demo-wrote-on = ○   сообщений Анны и Алексея: { $count }, каждое на диске Acme
demo-not-delivered = о каждом известно: не доставлено в Globex с { $time }
demo-line-recalled = Между нами: стулья у них скрипят.
demo-recalled = отозвано: оно доказуемо не покидало Acme, текст стёрт
demo-recall-refused = отозвать то, что уже ушло, нельзя, и об этом сказано прямо

demo-act-back = Globex возвращается, и никто ничего не пишет
demo-restarted = запущен снова, журнал проверен
demo-caught-up = на месте все пропущенные: { $count }, каждое один раз, по порядку
demo-nobody-wrote = для этого никто ничего не написал; у Бориса непрочитанных: { $count }
demo-recall-held = от отозванного сообщения пришла только пометка, но не текст
demo-marks-turned = ●   отметок сменилось: { $count }, всё хранится везде

demo-act-evidence = Что Acme может предъявить потом
demo-receipt = { $id }  сохранено в Globex в { $time }  расписка { $statement }…
demo-receipts = сообщений: { $count }, подписанных расписок Globex: { $statements ->
       *[other] { $statements }
    }
demo-road = { $id }: { $hops }
demo-verified-journal = журнал { $name } проверен: записей { $records }, подписей { $signatures }, ошибок нет

demo-act-administrator = Администратор хочет заглянуть в чаты
demo-operator-refused = сокет оператора: все пути к чатам закрыты, проверено: { $count }
demo-operator-silent = отчётов для операторов: { $count }, байтов: { $bytes }; ни слова и ни названия из чатов
demo-outsider = { $name }, администратор с учётной записью, чужих чатов не находит
demo-reset = сброс доступа ({ $name }) завершает сеансы, и чаты об этом узнают
demo-disk = на диске не прочесть ничего (искали: { $texts }, файлов: { $files }, { $mib } МиБ)

demo-act-end = Конец
demo-sum = проверок { $checks }, все сошлись, за { $time }
demo-try = Смотреть за Анну, смотреть за Бориса и писать, каждое в своём терминале:
demo-try-text = Привет из терминала
demo-next = Дальше: crossport demo --stay, чтобы писать самому; crossport up --company ИМЯ, чтобы завести свой узел
demo-stays = Оба узла работают. Ctrl+C остановит их и удалит папку.

## Замеры

column-figure = Величина
column-spread = Прогоны от…до
column-aim = Цель
column-reached = Достигнута
column-rivals = Другие на том же пути
bench-missed = нет: не хватает в { $times } раза
bench-not-judged = при таком объёме не судим
bench-running = замер: { $name }
bench-filling = написано { $written } из { $of }
bench-debug-build = Это отладочная сборка: её числа ничего не говорят о Crossport. Соберите с --release.
bench-in-memory = Папка в памяти ({ $kind }): фиксация там ничего не стоит. Укажите папку на диске: --folder
bench-calibration = ядер { $cores }, { $processor }, { $filesystem }; одно ядро подписывает { $sign } и проверяет { $verify } в секунду; 4 КиБ с fdatasync за { $sync } мс.
    Значения: медианы { $runs } прогонов; оба узла и эта программа делили машину.
bench-throughput-messages-per-s = сообщений от автора до читателя, 200 байтов, 64 в пути
    .rivals = Prosody 1426 (лучшее 2664, без fsync); на SQLite 170–432; ejabberd 132–543; Synapse 24
bench-throughput-cpu-ms-per-message = время процессора обоих узлов на сообщение
    .rivals = Prosody 0,7–1,5; Synapse 45
bench-group-messages-per-s = сообщений в группе из 2 × 5 человек, до всех
    .rivals = Prosody 269
bench-latency-p50-ms = от автора до читателя при 20 в секунду, p50
    .rivals = Prosody на файлах 1,9; ejabberd 5; Synapse 57
bench-latency-p99-ms = от автора до читателя при 20 в секунду, p99
    .rivals = Prosody на файлах 8–10; ejabberd 6–15; Synapse 97
bench-latency-acknowledged-p50-ms = на диске и подтверждено при 20 в секунду, p50
bench-receipt-in-a-row-p50-ms = прочтение, обратно у автора, p50, одно за другим
bench-receipt-p50-ms = прочтение, обратно у автора, p50
    .rivals = 1,5–31
bench-catch-up-link-s = связь после того, как партнёр слушает
bench-catch-up-all-s = 5 000 пропущенных сообщений после связи
    .rivals = комната Prosody 49 вручную; Synapse 826 из 1 000 за 37; XMPP один на один: возврат
bench-kill-lost = потеряно, когда получатель убит под нагрузкой
    .rivals = Prosody вернул 18 %; у ejabberd молча пропало 77–105
bench-kill-doubled = удвоено, когда получатель убит под нагрузкой
bench-join-newest-page-s = вход в чат из 10 000: последняя страница
bench-join-all-s = вход в чат из 10 000: всё
    .rivals = ejabberd 1,3; Prosody на SQLite 27
bench-idle-memory-mib = память узла без дела
    .rivals = 17–118
bench-idle-start-s = от запуска до готовности, пустой
    .rivals = 0,13–2,3
bench-size-memory-mib = память со всеми сообщениями, после записи
bench-size-memory-restarted-mib = память со всеми сообщениями, после запуска
bench-size-disk-mib-per-10k = диск на каждые 10 000 сообщений
    .rivals = 6,4–62
bench-size-page-ms = страница из 50
bench-size-start-s = от запуска до готовности со всеми сообщениями
bench-size-killed-start-s = после внезапной остановки: от запуска до страницы и сообщений в обе стороны
bench-size-rebuild-s = указатель заново из журнала

## Справка

help-usage = Вызов:
help-commands = Команды
help-arguments = Аргументы
help-options = Параметры
help-global = Общие параметры
help-group-begin = Начать
help-group-talk = Общаться
help-group-run = Вести узел
help-group-more = А также
help-examples = Примеры:
help-help = Показать справку
help-version = Показать версию
help-aliases = или
help-choices = варианты
help-default = по умолчанию
help-environment = переменная

cli = Мессенджер между компаниями: у каждой свой узел, а у сообщений есть доказательства доставки
    .json = Печатать документы HTTP API
    .quiet = Печатать только идентификаторы, без подсказок
    .color = Цвета
    .yes = Отвечать на вопросы «да»
    .lang = Язык; иначе из локали
    .data-dir = Папка данных узла, для того, кто им управляет
    .config = Файл настроек; иначе crossport.toml в папке данных
    .credentials = Файл с учётными данными людей; иначе в папке настроек пользователя
    .profile = Кто действует: профиль учётных данных или его начало; иначе последний вход
    .client-id = Запись можно повторять: с тем же идентификатором она не сделается дважды
    .examples =
        # Узел с нуля и ссылка для первого человека
        crossport up --company Acme
        # Тот же человек, в терминале
        crossport login 'http://127.0.0.1:8460/#SECRET'
        crossport chat send boris 'Hello!'

cli-demo = Показать на этой машине, как две компании переписываются, теряют связь и навёрстывают
    .more = Запускает два узла во временной папке, рассказывает историю и проверяет каждую её строку через API. Код выхода 0, только если всё сошлось. На терминале оба узла потом продолжают работать, с командами для пробы; Ctrl+C их останавливает.
    .stay = В конце продолжать работу, даже если терминала нет
    .exit = В конце выйти, даже на терминале
    .examples =
        crossport demo
        # Как проверка, по-русски
        crossport demo --exit --lang ru

cli-bench = Измерить эту программу на этой машине
    .examples =
        crossport bench federation
        crossport bench federation --only latency

cli-bench-federation = Измерить две компании на этой машине: темп, задержку, навёрстывание, память
    .more = Запускает настоящие узлы отдельными процессами, связь через loopback, каждое сообщение на диске. Значения: медианы пяти прогонов, рядом то, на что способна сама машина. О промахе мимо цели сказано; код выхода 1, только если что-то измерить не удалось. При полном объёме один замер пишет миллион сообщений.
    .only = Только этот замер; можно повторять
    .scale = quick: минуты; full: объёмы, для которых заданы цели
    .folder = Где узлы держат данные, пока идёт замер; иначе папка для временных файлов
    .examples =
        crossport bench federation
        # Один замер, документом
        crossport --json bench federation --only throughput

cli-up = Запустить узел компании, создав её, если её нет
    .more = Печатает компанию, слова для сверки, адреса и одноразовую ссылку для первого администратора. Работает до Ctrl+C или SIGTERM.
    .company = Название компании; нужно в первый раз
    .listen-tcp = Где партнёры подключаются по TCP, или off
    .listen-quic = Где партнёры подключаются по QUIC, или off
    .api-listen = Где подключаются программы людей
    .announce = Адрес для билетов; можно повторять
    .set = Любой ключ настроек; можно повторять
    .join = Принять этот билет другой компании
    .admin = Ник первого администратора; иначе имя того, кто запускает узел
    .with-parent = Остановиться, когда закончится стандартный ввод: для программ, которые запускают узлы
    .examples =
        # Первая компания
        crossport up --company Acme
        # Вторая, на другой машине, по билету первой
        crossport up --company Globex --join TICKET
        # Второй узел на той же машине
        crossport up --data-dir ./globex --company Globex \
            --api-listen 127.0.0.1:8470 --listen-tcp 127.0.0.1:8471 --listen-quic off

cli-init = Создать компанию и её ключи, не запуская узел
    .company = Название компании
    .listen-tcp = Где партнёры подключаются по TCP, или off
    .listen-quic = Где партнёры подключаются по QUIC, или off
    .api-listen = Где подключаются программы людей
    .announce = Адрес для билетов; можно повторять
    .set = Любой ключ настроек; можно повторять
    .examples =
        crossport init --company Acme
        # В другом месте
        crossport --data-dir /srv/crossport init --company Acme

cli-status = Показать узел: компания, адреса, партнёры, диск
    .examples =
        crossport status
        # Все ли партнёры на связи?
        crossport status --json | jq '.partners[] | select(.connected | not)'

cli-doctor = Проверить диск, часы, порты, права и партнёров и сказать, что делать
    .more = Код завершения 1, если что-то плохо: годится для наблюдения.
    .examples =
        crossport doctor
        crossport doctor --quiet && echo 'all is well'

cli-user = Люди вашей компании
    .examples =
        crossport user add anna --name 'Anna Orlova'
        crossport user list

cli-user-add = Добавить человека и напечатать одноразовую ссылку, которая открывает его учётную запись
    .more = С --as действует администратор из своего сеанса. Ссылка секретна. Кто её потерял, получит другую: crossport user reset.
    .nickname = Что набирают другие: a-z, 0-9, точка, подчёркивание, дефис
    .name = Полное имя
    .administrator = Может настраивать чаты компании
    .examples =
        crossport user add anna --name 'Anna Orlova'
        crossport user add boris --administrator --json

cli-user-list = Перечислить людей своей компании
    .examples =
        crossport user list
        crossport user ls --json

cli-user-reset = Завершить все сеансы человека и напечатать новую ссылку
    .more = Это увидят сам человек и все в его чатах: администратор не может незаметно стать другим.
    .nickname = Чей доступ сбросить
    .examples =
        crossport user reset anna
        crossport --yes user reset anna

cli-login = Войти на этой машине по ссылке от администратора или по паролю
    .more = Ссылка работает один раз. Без аргумента она читается со стандартного ввода, где её не видно в списке процессов. Пароль спрашивается в терминале, а иначе это следующая строка стандартного ввода.
    .link = Адрес и секрет одной строкой; с --user только адрес (без него узел этой машины)
    .user = Войти по паролю, по нику
    .nickname = Ник вместо указанного в приглашении
    .name = Полное имя вместо указанного в приглашении
    .password = Задать пароль, чтобы потом войти с другого устройства
    .device = Как это устройство называется среди ваших сеансов
    .examples =
        crossport login 'http://127.0.0.1:8460/#SECRET'
        # Из файла, под своим именем
        cat link.txt | crossport --as boris login
        # Потом, с другого устройства
        crossport login --user anna http://127.0.0.1:8460

cli-logout = Завершить этот сеанс и забыть его ключ
    .local = Только забыть здесь; если узла больше нет
    .examples =
        crossport logout
        crossport --as boris logout --local

cli-whoami = Показать, кто вошёл
    .examples =
        crossport whoami
        crossport --as boris whoami --json

cli-account = Ваша учётная запись
    .examples =
        crossport account password
        crossport --as boris account password

cli-account-password = Задать пароль или сменить его
    .more = Другие ваши сеансы завершатся. В терминале пароли спрашиваются; иначе это строки стандартного ввода: нынешний, если он есть, и новый.
    .examples =
        crossport account password
        cat passwords.txt | crossport account password

cli-device = Устройства, с которых вы вошли
    .examples =
        crossport device list
        crossport device revoke --others

cli-device-list = Перечислить устройства, с которых вы вошли
    .examples =
        crossport device list
        crossport device ls --json

cli-device-revoke = Завершить сеанс устройства или всех остальных
    .more = Действует сразу; всё, что открыто на устройстве, тоже завершится.
    .device = Начало его номера
    .others = Все, кроме этого
    .examples =
        crossport device revoke 3fa9
        crossport device revoke --others

cli-token = Ключи для ваших программ
    .examples =
        crossport token add backup --scope read
        crossport token list

cli-token-add = Создать ключ для программы и один раз его напечатать
    .more = Программа действует от вашего имени в пределах прав: read видит то же, что вы, write действует в ваших чатах, admin управляет людьми, если это можно вам. Пароль, устройства и ключи не доступны ни одному ключу.
    .name = По чему вы его узнаете
    .scope = Какие права он даёт; можно указать несколько раз
    .expires = Когда он перестанет действовать: 90s, 15m, 2h, 7d; иначе никогда
    .examples =
        crossport token add backup --scope read --expires 90d
        crossport token add bot --scope read --scope write -q

cli-token-list = Перечислить ключи ваших программ
    .examples =
        crossport token list
        crossport token ls --json

cli-token-revoke = Отозвать ключ
    .more = Действует сразу; всё, что открыто у программы, тоже завершится.
    .token = Начало его номера
    .examples =
        crossport token revoke 3fa9
        crossport --as boris token rm 3fa9

cli-partner = Другие компании
    .examples =
        crossport partner invite
        crossport partner list

cli-partner-invite = Напечатать билет для другой компании
    .more = Выдав билет, вы даёте согласие; приняв, его даёт другая компания. Билет один раз соединяет любого, кто им владеет: передавайте его как секрет.
    .expires = Сколько действует: 90s, 15m, 2h, 7d
    .alias = Как вы будете звать партнёра
    .examples =
        crossport partner invite
        crossport partner invite --expires 2h --alias globex

cli-partner-accept = Принять билет другой компании
    .ticket = Билет; иначе со стандартного ввода
    .alias = Как вы будете звать партнёра
    .examples =
        crossport partner accept TICKET
        cat ticket.txt | crossport partner accept --alias acme

cli-partner-verify = Записать, что люди сверили слова
    .more = Попросите партнёра по телефону прочесть слова, которые показывает его crossport status. Только тогда ясно, что между вами никого нет.
    .partner = Название, своё имя для него или идентификатор
    .words = Слова, как их прочли; без них будет задан вопрос
    .examples =
        crossport partner verify globex
        crossport partner verify globex lugnaz virlil jurlar togpuz gultal tizmal

cli-partner-list = Перечислить партнёров
    .examples =
        crossport partner list
        crossport partner ls --json

cli-partner-show = Показать партнёра: состояние, адреса, чего у него нет
    .partner = Название, своё имя для него или идентификатор
    .examples =
        crossport partner show globex
        crossport partner show 3fa9 --json

cli-partner-pause = Пока ничем не обмениваться с партнёром
    .partner = Название, своё имя для него или идентификатор
    .examples =
        crossport partner pause globex
        crossport partner pause 3fa9

cli-partner-resume = Продолжить обмен с партнёром
    .partner = Название, своё имя для него или идентификатор
    .examples =
        crossport partner resume globex
        crossport partner resume 3fa9

cli-partner-remove = Прекратить партнёрство; чаты останутся читаемы
    .partner = Название, своё имя для него или идентификатор
    .examples =
        crossport partner remove globex
        crossport --yes partner remove 3fa9

cli-partner-ping = Измерить путь до узла партнёра и обратно
    .partner = Название, своё имя для него или идентификатор
    .examples =
        crossport partner ping globex
        crossport partner ping globex --json

cli-contact = Люди, которым можно писать
    .examples =
        crossport contact list
        crossport contact list orlova

cli-contact-list = Перечислить коллег и людей партнёров
    .query = Часть имени или ника
    .examples =
        crossport contact list
        crossport contact list orlova --json

cli-chat = Чаты: читать и писать
    .examples =
        crossport chat new boris@globex
        crossport chat list

cli-chat-new = Открыть чат
    .more = С одним человеком и без названия это личный чат; если он уже есть, печатается он.
    .people = ник, а для человека партнёра ник@компания
    .title = Название; не нужно только личному
    .kind = Кто может в нём быть
    .from = Сообщение, с которого начнётся новый чат; нужно название
    .examples =
        crossport chat new boris@globex
        crossport chat new --title Launch boris@globex vera
        crossport chat new --kind channel --title News vera

cli-chat-list = Перечислить чаты, сверху последнее сообщение
    .limit = Сколько, от 1 до 200
    .cursor = Где кончилась прошлая страница
    .examples =
        crossport chat list
        crossport chat ls --json --limit 5

cli-chat-show = Показать сообщения чата
    .more = Знаки у своих сообщений: ○ сохранено вашим узлом, ● сохранено узлами всех компаний, ●● кем-то прочитано, ! просрочено.
    .chat = Название, ник для личного чата или идентификатор
    .limit = Сколько, от 1 до 200
    .before = Страница до этой отметки или сообщения
    .after = Страница после этой отметки или сообщения
    .examples =
        crossport chat show Launch
        crossport chat show c0ffee --limit 100 --json

cli-chat-send = Отправить сообщение; готово, когда оно на диске вашего узла
    .chat = Название, ник для личного чата или идентификатор
    .text = Текст; - или ничего читает стандартный ввод
    .reply-to = Сообщение, на которое это ответ
    .examples =
        crossport chat send Launch 'We start at nine.'
        git log -1 | crossport chat send Launch -
        # Можно безопасно повторять
        crossport --client-id deploy-42 chat send Launch 'Deployed 42'

cli-chat-watch = Показывать сообщения по мере прихода
    .more = Переживает обрывы связи и перезапуски узла, ничего не пропуская. Изменённое сообщение показывается снова.
    .chat = Название, ник для личного чата или идентификатор; иначе все чаты
    .last = Сначала показать столько прежних сообщений
    .read = Отмечать показанное прочитанным
    .count = Закончить после стольких новых сообщений
    .timeout = Закончить с кодом 8 через это время: 90s, 15m, 2h
    .examples =
        crossport chat watch Launch --last 10 --read
        # Скрипт, который ждёт одного ответа
        crossport chat watch boris --count 1 --timeout 15m --json

cli-chat-read = Отметить сообщения прочитанными
    .chat = Название, ник для личного чата или идентификатор
    .up-to = До этого сообщения; иначе все
    .examples =
        crossport chat read Launch
        crossport chat read Launch --up-to 3fa9c2e1.0

cli-chat-members = Кто в чате
    .examples =
        crossport chat members list Launch
        crossport chat members add Launch vera

cli-chat-members-list = Перечислить участников чата
    .chat = Название или идентификатор
    .examples =
        crossport chat members list Launch
        crossport chat members ls Launch --json

cli-chat-members-add = Добавить людей в чат
    .chat = Название или идентификатор
    .people = ник или ник@компания
    .examples =
        crossport chat members add Launch vera
        crossport chat members add Launch boris@globex gleb@globex

cli-chat-members-remove = Удалить человека из чата
    .chat = Название или идентификатор
    .person = ник или ник@компания
    .examples =
        crossport chat members remove Launch vera
        crossport --yes chat members remove Launch gleb@globex

cli-chat-topic = Дать чату другое название; могут люди компании, которой он принадлежит
    .chat = Название или идентификатор
    .title = Новое название
    .examples =
        crossport chat topic Launch 'Launch in May'
        crossport chat topic c0ffee 'Launch in May' --json

cli-chat-leave = Выйти из чата; полученное останется читаемо
    .chat = Название или идентификатор
    .examples =
        crossport chat leave Launch
        crossport --yes chat leave c0ffee

cli-msg = Одно сообщение: изменить его и узнать, что с ним стало
    .examples =
        crossport msg show 3fa9c2e1.0
        crossport msg why 3fa9c2e1.0

cli-msg-show = Показать сообщение с прежними текстами
    .message = Идентификатор, каким его печатает chat show
    .examples =
        crossport msg show 3fa9c2e1.0
        crossport msg show 3fa9c2e1.0 --json

cli-msg-edit = Изменить текст своего сообщения; прежние тексты остаются видны
    .message = Идентификатор
    .text = Новый текст; - или ничего читает стандартный ввод
    .examples =
        crossport msg edit 3fa9c2e1.0 'We start at ten.'
        echo 'We start at ten.' | crossport msg edit 3fa9c2e1.0 -

cli-msg-delete = Удалить сообщение у всех
    .message = Идентификатор
    .examples =
        crossport msg delete 3fa9c2e1.0
        crossport --yes msg delete 3fa9c2e1.0

cli-msg-react = Поставить эмодзи к сообщению
    .message = Идентификатор
    .emoji = Один эмодзи
    .remove = Снять
    .examples =
        crossport msg react 3fa9c2e1.0 👍
        crossport msg react 3fa9c2e1.0 👍 --remove

cli-msg-forward = Переслать сообщение в другой чат
    .message = Идентификатор
    .chat = Название, ник собеседника личного чата или идентификатор
    .examples =
        crossport msg forward 3fa9c2e1.0 Launch
        crossport msg forward 3fa9c2e1.0 boris --json

cli-msg-thread = Показать ответы на сообщение и ответы на ответы
    .message = Идентификатор
    .limit = Сколько, от 1 до 200
    .after = Страница после этого курсора или сообщения
    .examples =
        crossport msg thread 3fa9c2e1.0
        crossport msg thread 3fa9c2e1.0 --json

cli-msg-recall = Отозвать сообщение, если оно заведомо не ушло с вашего узла
    .message = Идентификатор
    .examples =
        crossport msg recall 3fa9c2e1.0
        crossport msg recall 3fa9c2e1.0 --json

cli-msg-receipts = Показать, когда сохранила каждая компания и когда прочёл каждый человек
    .message = Идентификатор
    .examples =
        crossport msg receipts 3fa9c2e1.0
        crossport msg receipts 3fa9c2e1.0 --json

cli-msg-why = Проследить весь путь сообщения
    .message = Идентификатор
    .examples =
        crossport msg why 3fa9c2e1.0
        crossport msg why 3fa9c2e1.0 --json

cli-verify = Проверить весь журнал: подписи, цепочки, срезы
    .more = Код завершения 7, если что-то не сошлось; первое место названо.
    .examples =
        crossport verify
        crossport verify --json

cli-rebuild = Построить индекс заново по журналу
    .examples =
        crossport rebuild
        crossport --data-dir /srv/crossport rebuild

cli-config = Настройки
    .examples =
        crossport config show
        crossport config show --origin

cli-config-show = Показать действующие значения; узел для этого не нужен
    .origin = Показать и откуда взято каждое
    .examples =
        crossport config show --origin
        crossport --data-dir /srv/crossport config show --json

cli-audit = Перечислить действия администраторов, новые сверху
    .limit = Сколько, от 1 до 200
    .cursor = Где кончилась прошлая страница
    .examples =
        crossport audit
        crossport audit --limit 200 --json

cli-metrics = Напечатать метрики узла для Prometheus
    .examples =
        crossport metrics
        crossport metrics | grep delivery

cli-completions = Напечатать скрипт дополнения для оболочки
    .shell = Оболочка
    .examples =
        crossport completions bash > ~/.local/share/bash-completion/completions/crossport
        crossport completions zsh > ~/.zfunc/_crossport

cli-man = Напечатать страницу руководства или записать все
    .out = Папка, по странице на команду
    .examples =
        crossport man | man -l -
        crossport man --out ~/.local/share/man/man1

cli-version = Показать версию
    .examples =
        crossport version
        crossport version --json
