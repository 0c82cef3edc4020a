"""Month and day names of the Gregorian calendar in the languages of `date`. Data only."""

from typing import Final, NamedTuple


class CalendarNames(NamedTuple):
    """Months from January, days from Monday, before and after noon."""

    months: list[str]
    short_months: list[str]
    days: list[str]
    short_days: list[str]
    half_days: tuple[str, str]


def _split(names: str) -> list[str]:
    return names.split()


_ARABIC_MONTHS: Final = _split(
    "يناير فبراير مارس أبريل مايو يونيو يوليو أغسطس سبتمبر أكتوبر نوفمبر ديسمبر"
)
_ARABIC_DAYS: Final = _split("الاثنين الثلاثاء الأربعاء الخميس الجمعة السبت الأحد")
_PERSIAN_MONTHS: Final = _split(
    "ژانویه فوریه مارس آوریل مه ژوئن ژوئیه اوت سپتامبر اکتبر نوامبر دسامبر"
)
_PERSIAN_DAYS: Final = _split("دوشنبه سه‌شنبه چهارشنبه پنجشنبه جمعه شنبه یکشنبه")

NAMES: Final = {
    "en": CalendarNames(
        _split(
            "January February March April May June July August September October November December"
        ),
        _split("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec"),
        _split("Monday Tuesday Wednesday Thursday Friday Saturday Sunday"),
        _split("Mon Tue Wed Thu Fri Sat Sun"),
        ("AM", "PM"),
    ),
    # Arabic and Persian have no usual short forms.
    "ar": CalendarNames(_ARABIC_MONTHS, _ARABIC_MONTHS, _ARABIC_DAYS, _ARABIC_DAYS, ("ص", "م")),
    "fa": CalendarNames(
        _PERSIAN_MONTHS, _PERSIAN_MONTHS, _PERSIAN_DAYS, _PERSIAN_DAYS, ("ق.ظ.", "ب.ظ.")
    ),
    "tr": CalendarNames(
        _split("Ocak Şubat Mart Nisan Mayıs Haziran Temmuz Ağustos Eylül Ekim Kasım Aralık"),
        _split("Oca Şub Mar Nis May Haz Tem Ağu Eyl Eki Kas Ara"),
        _split("Pazartesi Salı Çarşamba Perşembe Cuma Cumartesi Pazar"),
        _split("Pzt Sal Çar Per Cum Cmt Paz"),
        ("ÖÖ", "ÖS"),
    ),
}
