"""Words: every text of the pages in English and Khmer, as a table; and whose language it is. Pure.

Amounts and times keep Western digits in both, as banks in Cambodia print them.
"""

from typing import Final, Literal

from bayon.cards import WeakPin
from bayon.payments import Decline

Lang = Literal["en", "km"]
LANGS: Final[tuple[Lang, ...]] = ("en", "km")
LENGTH_MAX: Final = 200
_BY_NAME: Final[dict[str, Lang]] = {lang: lang for lang in LANGS}

WORDS: Final[dict[str, tuple[str, str]]] = {
    # By name: first English, then Khmer.
    "language": ("Language", "ភាសា"),
    "skip": ("Skip to the content", "រំលងទៅមាតិកា"),
    "docs": ("API documentation", "ឯកសារ API"),
    "sandbox": (
        "Sandbox: no real money moves here.",
        "បរិយាកាសសាកល្បង៖ គ្មានប្រាក់ពិតប្រាកដទេ។",
    ),
    # The landing of a deeplink.
    "pay_title": ("Pay {payee}", "បង់ប្រាក់ជូន {payee}"),
    "payment": ("Payment", "ការទូទាត់"),
    "asks": ("asks you to pay", "ស្នើសុំឱ្យអ្នកបង់ប្រាក់"),
    "account": ("Account", "គណនី"),
    "city": ("City", "ទីក្រុង"),
    "bill": ("Bill number", "លេខវិក្កយបត្រ"),
    "store": ("Store", "ហាង"),
    "purpose": ("Purpose", "គោលបំណង"),
    "scan": (
        "Scan with any banking app that reads KHQR.",
        "ស្កេនដោយប្រើកម្មវិធីធនាគារណាមួយដែលទទួល KHQR។",
    ),
    "qr_label": ("KHQR code to scan", "កូដ KHQR សម្រាប់ស្កេន"),
    "open_app": ("Open in your banking app", "បើកក្នុងកម្មវិធីធនាគារ"),
    "opened": ("Paid in the app?", "បានបង់ក្នុងកម្មវិធីហើយមែនទេ?"),
    "look": ("Check the payment", "ពិនិត្យការទូទាត់"),
    "waiting": ("Waiting for the payment", "កំពុងរង់ចាំការទូទាត់"),
    "pending": ("Payment on its way", "ការទូទាត់កំពុងដំណើរការ"),
    "pending_text": (
        "This QR is being paid. There is nothing more to do.",
        "QR នេះកំពុងត្រូវបានបង់ប្រាក់។ អ្នកមិនចាំបាច់ធ្វើអ្វីទៀតទេ។",
    ),
    "refreshes": (
        "This page updates by itself.",
        "ទំព័រនេះធ្វើបច្ចុប្បន្នភាពដោយស្វ័យប្រវត្តិ។",
    ),
    "left": ("Time left", "ពេលវេលានៅសល់"),
    "until": ("Valid until", "មានសុពលភាពដល់"),
    "days": ("{n} d", "{n} ថ្ងៃ"),
    "hours": ("{n} h", "{n} ម៉ោង"),
    "minutes": ("{n} min", "{n} នាទី"),
    "seconds": ("{n} s", "{n} វិនាទី"),
    "pay_as": ("Pay as {payer}", "បង់ប្រាក់ជា {payer}"),
    "expired": ("This QR has expired", "QR នេះផុតកំណត់ហើយ"),
    "expired_text": (
        "It can no longer be paid. Ask for a new one.",
        "QR នេះមិនអាចបង់បានទៀតទេ។ សូមស្នើសុំ QR ថ្មី។",
    ),
    "expired_at": ("Expired", "ផុតកំណត់នៅ"),
    "paid": ("Payment successful", "ការទូទាត់បានជោគជ័យ"),
    "refunded": ("Paid, then refunded", "បានបង់ រួចបានសងប្រាក់វិញ"),
    "refunded_text": (
        "The payee has given the whole amount back.",
        "អ្នកទទួលបានសងប្រាក់ទាំងអស់វិញហើយ។",
    ),
    "reference": ("Reference", "លេខយោង"),
    "paid_at": ("Paid at", "កាលបរិច្ឆេទ"),
    "return_to": ("Return to {app}", "ត្រឡប់ទៅ {app} វិញ"),
    "return_nobody": ("Return to the app", "ត្រឡប់ទៅកម្មវិធីវិញ"),
    "not_paid": ("The payment was not made", "ការទូទាត់មិនបានសម្រេចទេ"),
    "failed": (
        "The last attempt failed. No money was moved; you can try again.",
        "ការទូទាត់លើកមុនមិនបានជោគជ័យទេ។ គ្មានប្រាក់ត្រូវបានកាត់ឡើយ អ្នកអាចព្យាយាមម្តងទៀត។",
    ),
    # Why a payment was declined, as the pages say it.
    f"decline_{Decline.QR_EXPIRED}": ("This QR has expired.", "QR នេះផុតកំណត់ហើយ។"),
    f"decline_{Decline.UNKNOWN_ACCOUNT}": (
        "The payee's account does not exist here.",
        "រកមិនឃើញគណនីរបស់អ្នកទទួលទេ។",
    ),
    f"decline_{Decline.SAME_ACCOUNT}": (
        "The payer and the payee are the same account.",
        "គណនីអ្នកបង់ និងគណនីអ្នកទទួល គឺតែមួយ។",
    ),
    f"decline_{Decline.WRONG_CURRENCY}": (
        "One of the accounts does not hold this currency.",
        "គណនីមិនប្រើរូបិយប័ណ្ណនេះទេ។",
    ),
    f"decline_{Decline.AMOUNT_DIFFERS}": (
        "The amount is not the one the QR asks for.",
        "ចំនួនទឹកប្រាក់មិនត្រូវនឹង QR ទេ។",
    ),
    f"decline_{Decline.AMOUNT_OUT_OF_RANGE}": (
        "The amount is too small or too large.",
        "ចំនួនទឹកប្រាក់តិចពេក ឬច្រើនពេក។",
    ),
    f"decline_{Decline.QR_ALREADY_PAID}": (
        "This QR is being paid already, or has been.",
        "QR នេះកំពុងបង់ ឬបានបង់រួចហើយ។",
    ),
    f"decline_{Decline.INSUFFICIENT_FUNDS}": (
        "There is not enough money on the account.",
        "សមតុល្យក្នុងគណនីមិនគ្រប់គ្រាន់ទេ។",
    ),
    # The pages for card holders.
    "card_services": ("Card services", "សេវាកម្មកាត"),
    "card_activation_title": ("Activate your card", "បើកដំណើរការកាតរបស់អ្នក"),
    "card_activation_text": (
        "Choose a PIN, and your card can be used at once.",
        "សូមជ្រើសរើសលេខ PIN រួចកាតរបស់អ្នកអាចប្រើបានភ្លាមៗ។",
    ),
    "card_activation_button": ("Activate the card", "បើកដំណើរការកាត"),
    "card_activation_done": ("Your card is active", "កាតរបស់អ្នកដំណើរការហើយ"),
    "card_activation_done_text": (
        "You can use it from now on, with the PIN you have chosen.",
        "ចាប់ពីពេលនេះ អ្នកអាចប្រើកាតនេះជាមួយលេខ PIN ដែលអ្នកបានជ្រើសរើស។",
    ),
    "pin_reset_title": ("Choose a new PIN", "ជ្រើសរើសលេខ PIN ថ្មី"),
    "pin_reset_text": (
        "The new PIN replaces the old one at once.",
        "លេខ PIN ថ្មីនឹងជំនួសលេខ PIN ចាស់ភ្លាមៗ។",
    ),
    "pin_reset_button": ("Save the new PIN", "រក្សាទុកលេខ PIN ថ្មី"),
    "pin_reset_done": ("Your PIN is changed", "លេខ PIN របស់អ្នកត្រូវបានប្តូរហើយ"),
    "pin_reset_done_text": (
        "Use the new PIN from now on. The old one no longer works.",
        "ចាប់ពីពេលនេះ សូមប្រើលេខ PIN ថ្មី។ លេខ PIN ចាស់លែងប្រើបានហើយ។",
    ),
    "card_ending": ("Card ending in {last_four}", "កាតដែលបញ្ចប់ដោយលេខ {last_four}"),
    "pin": ("PIN", "លេខ PIN"),
    "pin_hint": (
        "Four digits. Not 1111, not 1234, and no year or date that others may know.",
        "លេខបួនខ្ទង់។ កុំប្រើ 1111 ឬ 1234 ឬឆ្នាំ ឬថ្ងៃខែដែលអ្នកដទៃអាចដឹង។",
    ),
    "pin_confirmation": ("Repeat the PIN", "បញ្ចូលលេខ PIN ម្តងទៀត"),
    "pin_secret": (
        "Tell nobody your PIN. No bank asks for it by phone, message or e-mail.",
        "កុំប្រាប់លេខ PIN ដល់នរណាម្នាក់ឡើយ។ គ្មានធនាគារណាសួររកលេខ PIN តាមទូរស័ព្ទ សារ ឬអ៊ីមែលទេ។",
    ),
    "link_until": (
        "You can use this page until {time}.",
        "អ្នកអាចប្រើទំព័រនេះបានរហូតដល់ម៉ោង {time}។",
    ),
    "error": ("Error", "មានកំហុស"),
    "problem": ("Please correct this", "សូមកែតម្រូវចំណុចនេះ"),
    "pin_not_four": (
        "Enter exactly four digits, 0 to 9.",
        "សូមបញ្ចូលលេខ 0 ដល់ 9 ឱ្យបានបួនខ្ទង់គត់។",
    ),
    "pin_differs": (
        "The two PINs are not the same. Enter both again.",
        "លេខ PIN ទាំងពីរមិនដូចគ្នាទេ។ សូមបញ្ចូលទាំងពីរម្តងទៀត។",
    ),
    f"pin_{WeakPin.SAME_DIGIT}": (
        "Choose another PIN: one digit four times is easy to guess.",
        "សូមជ្រើសរើសលេខ PIN ផ្សេង៖ លេខដដែលបួនដងងាយទាយណាស់។",
    ),
    f"pin_{WeakPin.RUN}": (
        "Choose another PIN: digits in a row are easy to guess.",
        "សូមជ្រើសរើសលេខ PIN ផ្សេង៖ លេខតាមលំដាប់ងាយទាយណាស់។",
    ),
    f"pin_{WeakPin.WELL_KNOWN}": (
        "Choose another PIN: this one is among the first a thief tries.",
        "សូមជ្រើសរើសលេខ PIN ផ្សេង៖ លេខនេះជាលេខមួយដែលចោរសាកមុនគេ។",
    ),
    "form_stale": (
        "This page was open for too long, or your browser accepts no cookies. Enter the PIN again.",
        "ទំព័រនេះបើកយូរពេក ឬកម្មវិធីរុករករបស់អ្នកមិនទទួលយកខូគី។ សូមបញ្ចូលលេខ PIN ម្តងទៀត។",
    ),
    "return_done": ("Continue", "បន្ត"),
    "close": ("You can close this page.", "អ្នកអាចបិទទំព័រនេះបាន។"),
    # What can go wrong with a page.
    "gone": ("This link can no longer be used", "តំណនេះលែងប្រើបានហើយ"),
    "gone_text": (
        "It has expired, was used already, or is not complete.",
        "តំណនេះផុតកំណត់ ត្រូវបានប្រើរួច ឬមិនពេញលេញ។",
    ),
    "gone_chosen": (
        "If you have just chosen a PIN, it may be saved: try your card.",
        "បើអ្នកទើបតែបានជ្រើសរើសលេខ PIN លេខនោះអាចត្រូវបានរក្សាទុកហើយ៖ សូមសាកប្រើកាតរបស់អ្នក។",
    ),
    "gone_ask": (
        "Otherwise ask whoever issued your card for a new link.",
        "បើមិនដូច្នេះទេ សូមស្នើសុំតំណថ្មីពីអ្នកដែលចេញកាតឱ្យអ្នក។",
    ),
    "malformed": ("This form could not be read", "មិនអាចអានទម្រង់នេះបានទេ"),
    "malformed_text": (
        "Nothing was changed. Open the page again and try once more.",
        "គ្មានអ្វីត្រូវបានផ្លាស់ប្តូរទេ។ សូមបើកទំព័រនេះឡើងវិញ ហើយព្យាយាមម្តងទៀត។",
    ),
    "missing": ("Page not found", "រកមិនឃើញទំព័រ"),
    "missing_text": (
        "There is nothing at this address. Perhaps the link is incomplete.",
        "គ្មានអ្វីនៅអាសយដ្ឋាននេះទេ។ តំណអាចមិនពេញលេញ។",
    ),
    "stale": ("This form is no longer valid", "ទម្រង់នេះលែងមានសុពលភាព"),
    "stale_text": (
        "Nothing was paid. Open the page again and try once more.",
        "មិនមានការបង់ប្រាក់ទេ។ សូមបើកទំព័រនេះឡើងវិញ ហើយព្យាយាមម្តងទៀត។",
    ),
    "stale_again": ("Open the page again", "បើកទំព័រឡើងវិញ"),
    "slow": ("Too many requests", "សំណើច្រើនពេក"),
    "slow_text": (
        "Please wait a moment and try again.",
        "សូមរង់ចាំបន្តិច រួចព្យាយាមម្តងទៀត។",
    ),
    "away": ("We are away for a moment", "សេវាកម្មផ្អាកមួយភ្លែត"),
    "away_text": (
        "Please try again shortly.",
        "សូមព្យាយាមម្តងទៀតក្នុងពេលបន្តិចទៀត។",
    ),
    "home": ("To the start page", "ទៅទំព័រដើម"),
    # The start page.
    "welcome": (
        "An open payments core for Cambodia",
        "ប្រព័ន្ធទូទាត់បើកចំហសម្រាប់កម្ពុជា",
    ),
    "welcome_text": (
        "Bayon answers the Bakong Open API and card management; the accounts are behind them.",
        "Bayon ផ្តល់ Bakong Open API និងការគ្រប់គ្រងកាត រួមទាំងគណនី និងការទូទាត់នៅពីក្រោយ។",
    ),
    "start": ("First steps", "ចាប់ផ្តើម"),
    "start_text": (
        "BAKONG, BANK and CARDS are the tokens that were printed when this sandbox was started.",
        "BAKONG, BANK និង CARDS គឺជា token បីដែលបានបង្ហាញនៅពេលចាប់ផ្តើម sandbox នេះ។",
    ),
    "step_qr": ("Make a QR and a link to it", "បង្កើត QR និងតំណរបស់វា"),
    "step_qr_text": (
        "Open the link in a browser: it is a page on which the QR can be paid.",
        "បើកតំណនោះក្នុងកម្មវិធីរុករក៖ វាជាទំព័រដែលអាចបង់ QR នោះបាន។",
    ),
    "step_check": ("Ask whether it is paid", "សួរថាបានបង់ប្រាក់ហើយឬនៅ"),
    "step_pay": ("Pay it as a bank would", "បង់ប្រាក់ដូចធនាគារ"),
    "docs_text": (
        "Every operation with its fields, a request to copy, and its answers.",
        "គ្រប់ប្រតិបត្តិការ ជាមួយវាល សំណើគំរូ និងចម្លើយ។",
    ),
    "openapi_text": (
        "The same as an OpenAPI 3.1 document, for your tools.",
        "ដូចគ្នា ជាឯកសារ OpenAPI 3.1 សម្រាប់ឧបករណ៍របស់អ្នក។",
    ),
    "health_text": ("Whether this server is ready.", "ស្ថានភាពរបស់ម៉ាស៊ីនមេ។"),
}


class Say:
    """Says the texts in one language."""

    def __init__(self, lang: Lang) -> None:
        self.lang: Lang = lang
        self._column: int = LANGS.index(lang)

    def __call__(self, name: str, **values: object) -> str:
        """Say one text, with its values put in."""
        text = WORDS[name][self._column]
        return text.format(**values) if values else text


def language(asked: str | None, accept_language: str) -> Lang:
    """Choose: what the address asks for, else what the browser likes best, else English."""
    if asked in _BY_NAME:
        return _BY_NAME[asked]
    liked = [_liking(entry) for entry in accept_language[:LENGTH_MAX].lower().split(",")]
    known = [(weight, name) for weight, name in liked if name in _BY_NAME and weight > 0]
    # The first of the heaviest: browsers list them in the order of their liking.
    return _BY_NAME[max(known, key=lambda one: one[0])[1]] if known else "en"


def _liking(entry: str) -> tuple[float, str]:
    tag, _, weight = entry.strip().partition(";q=")
    name = tag.strip().partition("-")[0]
    try:
        return float(weight) if weight else 1.0, name
    except ValueError:
        return 0.0, name
