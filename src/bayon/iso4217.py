"""ISO 4217: every currency a card may be used in, as a table.

A merchant's currency may be any of these; `money.Currency` are the few that accounts are kept in.
What has no minor unit (gold, testing, none at all) is left out: no amount can be written in it.

Source: ISO 4217, list one, as published on 2026-01-01; a test holds it against another's copy.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True, slots=True)
class IsoCurrency:
    """A currency: three letters, three digits, and how many decimals its minor unit stands for."""

    code: str
    number: str
    exponent: int


_TABLE: Final[Mapping[int, str]] = {
    0: """
        BIF108 CLP152 DJF262 GNF324 ISK352 JPY392 KMF174 KRW410 PYG600 RWF646 UGX800 UYI940 VND704
        VUV548 XAF950 XOF952 XPF953
    """,
    2: """
        AED784 AFN971 ALL008 AMD051 AOA973 ARS032 AUD036 AWG533 AZN944 BAM977 BBD052 BDT050 BMD060
        BND096 BOB068 BOV984 BRL986 BSD044 BTN064 BWP072 BYN933 BZD084 CAD124 CDF976 CHE947 CHF756
        CHW948 CNY156 COP170 COU970 CRC188 CUP192 CVE132 CZK203 DKK208 DOP214 DZD012 EGP818 ERN232
        ETB230 EUR978 FJD242 FKP238 GBP826 GEL981 GHS936 GIP292 GMD270 GTQ320 GYD328 HKD344 HNL340
        HTG332 HUF348 IDR360 ILS376 INR356 IRR364 JMD388 KES404 KGS417 KHR116 KPW408 KYD136 KZT398
        LAK418 LBP422 LKR144 LRD430 LSL426 MAD504 MDL498 MGA969 MKD807 MMK104 MNT496 MOP446 MRU929
        MUR480 MVR462 MWK454 MXN484 MXV979 MYR458 MZN943 NAD516 NGN566 NIO558 NOK578 NPR524 NZD554
        PAB590 PEN604 PGK598 PHP608 PKR586 PLN985 QAR634 RON946 RSD941 RUB643 SAR682 SBD090 SCR690
        SDG938 SEK752 SGD702 SHP654 SLE925 SOS706 SRD968 SSP728 STN930 SVC222 SYP760 SZL748 THB764
        TJS972 TMT934 TOP776 TRY949 TTD780 TWD901 TZS834 UAH980 USD840 USN997 UYU858 UZS860 VED926
        VES928 WST882 XAD396 XCD951 XCG532 YER886 ZAR710 ZMW967 ZWG924
    """,
    3: "BHD048 IQD368 JOD400 KWD414 LYD434 OMR512 TND788",
    4: "CLF990 UYW927",
}
"""Letters and number of each currency, by its exponent."""

CURRENCIES: Final = tuple(
    IsoCurrency(code=entry[:3], number=entry[3:], exponent=exponent)
    for exponent, entries in _TABLE.items()
    for entry in entries.split()
)

_BY_CODE: Final = {currency.code: currency for currency in CURRENCIES}
_BY_NUMBER: Final = {currency.number: currency for currency in CURRENCIES}


def by_code(code: str) -> IsoCurrency | None:
    """Find a currency by its three capital letters."""
    return _BY_CODE.get(code)


def by_number(number: str) -> IsoCurrency | None:
    """Find a currency by its three digits, leading zeros included."""
    return _BY_NUMBER.get(number)
