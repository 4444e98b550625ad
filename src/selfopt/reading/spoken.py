"""Words for numbers, units and moments in the languages that people ask in most.

Data only: a word more is one more word in a line. Words are written without accents and in lower
case, as `fold` leaves them. A language that is missing here costs little: figures say most.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

_LETTERS = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "ı": "i", "æ": "ae", "œ": "oe", "’": "'"})


def fold(text: str) -> str:
    """A text in lower case and without accents. Letters of other scripts stay."""
    plain = text.casefold()
    if plain.isascii():
        return plain
    marked = unicodedata.normalize("NFKD", plain.translate(_LETTERS))
    return unicodedata.normalize("NFC", "".join(char for char in marked if not unicodedata.combining(char)))


def _table(text: str) -> Mapping[str, float]:
    """The value of each word; a line is a value and its words."""
    lines = (line.split() for line in text.strip().splitlines())
    return {word: float(value) for value, *words in lines for word in words}


def set_of(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


NUMBERS = _table("""
0 zero null nil nul cero nulla noll sifir nol zera
1 one once single another ein eins une uno jeden jedna jedno bir satu adin odna
2 two twice double both couple pair zwei zwo beide deux dos due dois duas twee tva dwa dwie iki dua dva dve
3 three thrice triple drei trois tres tre drie trzy uc tiga tri
4 four vier quatre cuatro quattro quatro fyra fire cztery dort empat chetyre
5 five funf cinq cinco cinque vijf fem piec bes lima pyat
6 six sechs seis sei zes sex seks szesc alti enam shest
7 seven sieben sept siete sette sete zeven sju syv siedem yedi tujuh
8 eight acht huit ocho otto oito atta otte osiem sekiz delapan vosem
9 nine neun neuf nueve nove negen nio dziewiec dokuz sembilan devyat
10 ten zehn dix diez dieci dez tien tio ti dziesiec sepuluh desyat
11 eleven elf onze undici elva elleve jedenascie sebelas
12 twelve dozen zwolf dutzend douze douzaine doce docena dodici dozzina doze duzia twaalf dozijn tolv dussin dwanascie tuzin
13 thirteen dreizehn treize trece tredici treze dertien tretton trzynascie
14 fourteen vierzehn quatorze catorce quattordici catorze veertien fjorton czternascie
15 fifteen funfzehn quinze quince quindici vijftien femton pietnascie
16 sixteen sechzehn seize dieciseis sedici dezesseis dezasseis zestien sexton szesnascie
17 seventeen siebzehn diecisiete diciassette dezessete dezassete zeventien sjutton siedemnascie
18 eighteen achtzehn dieciocho diciotto dezoito achttien arton osiemnascie
19 nineteen neunzehn diecinueve diciannove dezenove dezanove negentien nitton dziewietnascie
20 twenty zwanzig vingt vingts veinte venti vinte twintig tjugo tyve dwadziescia yirmi score
21 veintiuno veintiun ventuno
22 veintidos
23 veintitres
24 veinticuatro
25 veinticinco
28 ventotto
30 thirty dreissig trente treinta trenta trinta dertig trettio tredive trzydziesci otuz
40 forty vierzig quarante cuarenta quaranta quarenta veertig fyrtio czterdziesci kirk
50 fifty funfzig cinquante cincuenta cinquanta cinquenta vijftig femtio piecdziesiat elli
60 sixty sechzig soixante sesenta sessanta sessenta zestig sextio szescdziesiat
70 seventy siebzig septante setenta settanta zeventig sjuttio siedemdziesiat
80 eighty achtzig huitante ochenta ottanta oitenta tachtig attio osiemdziesiat
90 ninety neunzig nonante noventa novanta negentig nittio dziewiecdziesiat
0.5 half halb halbe halben halber halbes anderthalb demi demie medio media mezzo mezza meio meia half halve halv halva halvt setengah yarim
0.25 quarter viertel quart cuarto quarto kwart kvart cwierc kwadrans ceyrek
0.75 dreiviertel
1.5 anderthalb anderthalbe eineinhalb
""")
ORDINALS = _table("""
1 first erste ersten erster premier premiere primero primera primo prima primeiro eerste forsta pierwszy pierwszego
2 second zweite zweiten deuxieme segundo seconda secondo tweede andra drugi drugiego
3 third dritte dritten troisieme tercero terzo terceiro derde tredje trzeci trzeciego
4 fourth vierte vierten quatrieme cuarto vierde fjarde
5 fifth funfte funften cinquieme quinto vijfde femte
6 sixth sechste sechsten sixieme sexto zesde sjatte
7 seventh siebte siebten septieme septimo zevende sjunde
8 eighth achte achten huitieme octavo achtste attonde
9 ninth neunte neunten neuvieme noveno negende nionde
10 tenth zehnte zehnten dixieme decimo tiende
11 eleventh elfte elften onzieme
12 twelfth zwolfte zwolften douzieme
13 thirteenth dreizehnten
14 fourteenth vierzehnten
15 fifteenth funfzehnten
16 sixteenth
17 seventeenth
18 eighteenth
19 nineteenth
20 twentieth zwanzigste zwanzigsten
30 thirtieth dreissigste dreissigsten
""")
FACTORS = _table("""
100 hundred hundert cent cents cien ciento cento honderd hundra sto yuz ratus
1000 k thousand tausend tsd mille mil mila duizend tusen tysiac tysiace tysiecy bin ribu grand
1000000 m mn mio million millions millionen millones milione milioni milhao milhoes miljoen miljoner milion milyon juta
1000000000 b bn billion billions milliarde milliarden mrd milliard miliardo miljard milyar
12 dozen
""")
WHOLE = set_of(
    "all complete completely entirely fully full ganz komplett vollstandig entierement completamente tutto helemaal helt calkiem"
)
PERCENT = set_of("% percent pct prozent pourcent procent percento procentow procento yuzde persen")
PER = set_of("per pour por pro")  # before a word for hundred: percent
# What may stand within a number: "two and a half", "half a million".
FILLERS = set_of("and und et y e en och og i ve dan a an ein eine einen un une una um uma ett of")

# The units of a dimension in its smallest one.
UNITS: Mapping[str, Mapping[str, float]] = {
    "time": _table("""
1 s sec secs second seconds sekunde sekunden sek seconde secondes segundo segundos secondo secondi seconden sekund sekunder sekundy saniye detik
60 min mins minute minutes minuten minuto minutos minuti minuut minuter minutter minuty minut dakika menit
3600 h hr hrs hour hours stunde stunden std heure heures hora horas ora ore uur uren timme timmar time timer godzina godziny godzin saat jam
86400 d day days daily night nights tag tage tagen nacht nachte nachten jour jours nuit nuits dia dias noche noches giorno giorni notte notti noite noites dag dagen dagar natt natter dzien dni noc gun hari
604800 wk week weeks weekly woche wochen semaine semaines semana semanas settimana settimane weken vecka veckor uge tydzien tygodnie tygodni hafta minggu
1209600 fortnight
2592000 month months monthly monat monate monaten mois meses mese mesi maand maanden manad manader miesiac miesiace miesiecy ay bulan
31536000 yr year years yearly annual annually jahr jahre jahren ans annee annees ano anos anno anni jaar ar rok lata lat yil tahun
315360000 decade decades
"""),
    "length": _table("""
0.001 mm millimetre millimetres millimeter millimeters
0.01 cm centimetre centimetres centimeter centimeters
0.0254 inch inches zoll pouce pouces pulgadas
0.3048 ft foot feet fuss
0.9144 yd yard yards
1 m metre metres meter meters metro metros metri metern
1000 km kilometre kilometres kilometer kilometers kilometern kilometro kilometros chilometri quilometros k
1609.344 mi mile miles meile meilen millas miglia
"""),
    "mass": _table("""
0.001 mg milligram milligrams
1 g gr gram grams gramm gramme grammes gramos grammi gramas
28.3495 oz ounce ounces unze unzen
453.592 lb lbs pound pounds pfund
500 pfund livre
1000 kg kgs kilo kilos kilogram kilograms kilogramm kilogrammes kilogramos chili quilos
1000000 t ton tons tonne tonnes tonnen
"""),
    "volume": _table("""
0.001 ml millilitre millilitres milliliter milliliters
0.01 cl
0.1 dl
0.2365882 cup cups
1 l litre litres liter liters litern litros litri
3.785412 gal gallon gallons
"""),
    "other": _table("""
0.000000000001 pf
0.000000001 nf nm nh
0.000001 uf μf um μm uh μh ua μa
0.001 mh ma mv mw
1000 khz kw kv kj kpa kn
1000000 mhz mpa mj
1000000000 ghz gpa gw
"""),
    "data": _table("""
1 byte bytes
1000 kb kilobyte kilobytes
1000000 mb megabyte megabytes
1000000000 gb gigabyte gigabytes gig gigs
1000000000000 tb terabyte terabytes
"""),
}

MONTHS = _table("""
1 january jan januar janvier enero gennaio janeiro januari stycznia styczen ocak janner
2 february feb februar fevrier febrero febbraio fevereiro februari lutego luty subat
3 march mar marz mars marzo marco maart marca marzec mart maret mrz
4 april apr avril abril aprile kwietnia kwiecien nisan
5 may mai mayo maggio maio mei maj maja mayis
6 june jun juni juin junio giugno junho czerwca czerwiec haziran
7 july jul juli juillet julio luglio julho lipca lipiec temmuz
8 august aug aout agosto augusti augustus sierpnia sierpien agustos agustus
9 september sept sep septembre septiembre settembre setembro wrzesnia wrzesien eylul
10 october oct oktober okt octobre octubre ottobre outubro pazdziernika pazdziernik ekim
11 november nov novembre noviembre novembro listopada listopad kasim
12 december dec dezember dez decembre diciembre dicembre dezembro grudnia grudzien aralik desember
""")
WEEKDAYS = _table("""
0 monday mon mondays montag lundi lunes lunedi segunda maandag mandag poniedzialek pazartesi senin
1 tuesday tue tues tuesdays dienstag mardi martes martedi terca dinsdag tisdag wtorek sali selasa
2 wednesday wed wednesdays mittwoch mercredi miercoles mercoledi quarta woensdag onsdag sroda srode carsamba rabu
3 thursday thu thur thurs thursdays donnerstag jeudi jueves giovedi quinta donderdag torsdag czwartek persembe kamis
4 friday fri fridays freitag vendredi viernes venerdi sexta vrijdag fredag piatek cuma jumat
5 saturday sat saturdays samstag sonnabend samedi sabado sabato zaterdag lordag sobota sobote cumartesi sabtu
6 sunday sun sundays sonntag dimanche domingo domenica zondag sondag niedziela niedziele pazar minggu
""")
# How many days from today a word may mean, from and to.
DAYS_FROM_TODAY: Mapping[str, tuple[int, int]] = {
    word: days
    for days, words in (
        ((0, 0), "today tonight heute aujourd hoy oggi hoje vandaag idag dzis dzisiaj bugun"),
        ((1, 1), "tomorrow tmrw tmr demain manana domani amanha imorgon jutro yarin besok"),
        ((0, 1), "morgen"),
        ((-1, -1), "yesterday gestern hier ayer ieri ontem gisteren igar wczoraj dun kemarin"),
        ((2, 2), "ubermorgen overmorgen"),
        ((-7, 14), "weekend week woche wochenende semaine semana settimana vecka tydzien hafta"),
        (
            (-62, 62),
            "next last past coming upcoming following folgenden suivant siguiente seguente nachste nachsten nachster nachstes kommenden kommende prochain prochaine "
            "proximo proxima prossimo prossima volgende komende nasta nastepny",
        ),
        (
            (-366, 366),
            "christmas easter halloween eve thanksgiving valentine weihnachten silvester noel paques navidad natale pasqua natal",
        ),
    )
    for word in words.split()
}
# The same where no spaces part words.
UNSPACED_DAYS = ("今天", "明天", "昨天", "今日", "明日", "昨日", "星期", "周", "来週", "今週")
# The hours of the day, from and to, that a word may mean.
DAY_PARTS: Mapping[str, tuple[int, int]] = {
    word: hours
    for hours, words in (
        (
            (5, 12),
            "morning breakfast dawn sunrise fruh morgens vormittag vormittags matin manana mattina manha ochtend morgon rano sabah pagi",
        ),
        ((11, 15), "noon midday lunch lunchtime mittag mittags midi mediodia mezzogiorno meio-dia middag poludnie ogle siang"),
        ((12, 19), "afternoon nachmittag nachmittags apres-midi tarde pomeriggio namiddag eftermiddag popoludniu sore"),
        ((16, 24), "evening tonight dinner supper sunset dusk abend abends soir sera noite avond kvall wieczorem aksam malam"),
        (
            (19, 30),
            "night midnight nacht nachts mitternacht nuit minuit noche medianoche notte mezzanotte meia-noite nacht natt noc gece",
        ),
        ((0, 24), "now immediately jetzt sofort maintenant ahora adesso agora nu teraz simdi sekarang"),
    )
    for word in words.split()
}
HALVES = set_of("half halb demie demi media mezza meia halv wpol")
QUARTERS = set_of("quarter viertel quart cuarto quarto kwart kvart kwadrans")

SWITCHES = set_of("true false yes no on off")  # choices that say no more than a switch does
# Names of units as they stand in arguments: a model picks one, and nobody says it.
UNIT_NAMES = set_of("""
celsius fahrenheit kelvin metric imperial standard c f k mph kmh km/h kph m/s kg g lb lbs oz km m cm mm mi miles kilometers meters feet ft
inches liters l ml usd eur gbp percent hours minutes seconds days weeks months years bytes kb mb gb tb
""")
