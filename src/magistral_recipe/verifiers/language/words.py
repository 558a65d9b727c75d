"""Function words: the small, frequent words that tell near languages apart where a model is unsure.

A dozen letters are too few for fastText, which takes "Resta do bolo" for English; *do*, *em* and
*são* say what they are in. Content words are no evidence: they are borrowed, and names are everybody's. The lists are
our own, of words that prose in any field needs; a word may stand in several. Letters that may be variables count
half.
"""

from __future__ import annotations

from functools import lru_cache

from magistral_recipe.verifiers.language.scripts import word_set

FUNCTION_WORDS = {
    "en": word_set(
        "the of and to in is are was be that it for as with this we so then by from at or if which has have there "
        "not an on its these each but can into when they you i let our must a do does all how many what"
    ),
    "fr": word_set(
        "le la les l un une des du de d et est sont à au aux en dans pour par sur que qui on il elle nous donc ce "
        "cette ces se s n ne pas avec comme si ou où alors ainsi deux chaque mais je c j qu puis combien quel "
        "quelle"
    ),
    "es": word_set(
        "el la los las un una unos de del y es son a al en para por con que se lo su sus como si o no más pero "
        "entonces luego cada este esta hay nos dos tres cuatro cinco seis siete ocho nueve diez tiene así cuántos "
        "cuántas cuánto cuál"
    ),
    "it": word_set(
        "il lo la i gli le un uno una di del della dei delle dello e è sono a al alla in nel nella per con che si "
        "non come se o ma più quindi poi ogni questo questa ci da dal dalla su sul due tre quattro cinque sei sette "
        "otto ne quanti quante quanto quale"
    ),
    "de": word_set(
        "der die das den dem des ein eine einen einem einer und ist sind war zu zum zur in im mit für von vom auf "
        "aus bei nach dass wir es er sie so also dann wenn nicht auch als wie durch oder aber jede jeder man sich "
        "noch was wie viele viel mal"
    ),
    "pt": word_set(
        "o a os as um uma uns umas de do da dos das e é são em no na nos nas ao aos à para por pelo pela pelos com "
        "que se não mais como ou mas logo então cada este esta há isso dois duas três quatro cinco seis sete oito "
        "nove dez seja temos tem são pois assim foi sua seu quantos quantas quanto qual"
    ),
    "nl": word_set(
        "de het een en is zijn van in op te met voor dat die we dus dan als niet ook aan bij door er om maar of hij "
        "zij wij heeft hebben elke elk uit naar nog dit deze wordt worden hoeveel wat"
    ),
    "tr": word_set(
        "ve bir bu için ile de da o olur olarak ise her iki üç dört beş altı yedi sekiz dokuz on daha sonra önce "
        "göre kadar olan olduğu değil var yok eder çok kaç nedir toplam ki ya biz kalır buna"
    ),
    "pl": word_set(
        "i w z na do że się jest są to nie o od po za dla przez jak lub a ale więc czyli każdy każda dwa trzy "
        "cztery pięć oraz ze we przy tego tej jego mamy ma zatem jeśli gdy ile ilu który która które"
    ),
    "sw": word_set(
        "ya wa na ni kwa za la katika cha vya hiyo hivyo kila yake yao wake wao yeye sisi tuna ana wana ina kuna "
        "kama lakini au pia baada kabla mbili tatu nne tano sita saba nane tisa kumi moja sasa hii huu huo hizo "
        "hilo tu basi kisha wakati watu ambayo ambao je gani kwamba hadi ili mwa zake ngapi"
    ),
    "gl": word_set(
        "o a os as un unha uns unhas de do da dos das e é son en no na nos nas ao aos á para por polo pola polos "
        "polas con que se non máis como ou mais logo entón cada este esta hai dous dúas tres catro cinco "
        "sete oito nove dez despois "
        "tamén temos ten foi súa seu cando onde onte moi"
    ),
    "ca": word_set(
        "el la els les un una uns unes de del dels i és són a al als en per amb que es no més com si o però doncs "
        "cada aquest aquesta hi ha dos dues tres quatre cinc així aleshores llavors després tenim"
    ),
    "ro": word_set(
        "și în de la cu pe un o este sunt din pentru că se nu mai ca sau dar deci fiecare care al a ale lui ei doi "
        "două trei patru cinci atunci dacă avem are prin după"
    ),
    "no": word_set(
        "der og er i på en et den det de som til av for med at vi har ikke om men så da hver fra ved skal "
        "kan blir hvis "
        "derfor etter når to tre fire fem seks sju altså være får dette disse ut opp"
    ),
    "da": word_set(
        "der og er i på en et den det de som til af for med at vi har ikke om men så da hver fra ved skal kan bliver "
        "hvis derfor efter når to tre fire fem seks syv altså være får dette disse ud op"
    ),
    "sv": word_set(
        "och är i på en ett den det de som till av för med att vi har inte om men så då varje från vid ska kan blir "
        "därför efter när två tre fyra fem sex sju svaret alltså vara får detta dessa ut upp"
    ),
    "fi": word_set(
        "ja on ei se että joka ovat niin kun jos mutta tai myös siis kuin hän me ne tämä nyt sitten yksi kaksi "
        "kolme neljä viisi joten kaikki saadaan jokainen ole"
    ),
    "cs": word_set(
        "a i v ve na se je jsou že to s z ze do o od po pro při jak nebo ale tedy každý každá dva dvě tři čtyři pět "
        "podle jeho který která které máme má když tak není potom pak také takže proto"
    ),
    "sk": word_set(
        "a i v vo na sa je sú že to s z zo do o od po pre pri ako alebo ale teda každý každá dva dve tri štyri päť "
        "podľa jeho ktorý ktorá ktoré máme má keď tak nie potom tiež takže preto"
    ),
    "sl": word_set(
        "in v na se je so da to s z iz do o od po za pri kot ali pa torej vsak vsaka dva dve tri štiri pet njegov "
        "ki imamo ima če ko ni odgovor potem tudi"
    ),
    "hr": word_set(
        "i u na se je su da to s iz do o od po za pri kao ili ali dakle svaki svaka dva dvije tri četiri pet njegov "
        "koji koja koje imamo ima ako kad nije zatim tada također gdje te što"
    ),
    "hu": word_set(
        "a az és egy hogy nem is van ez akkor ha vagy de tehát minden ezért mert így két három négy öt csak még "
        "mint lesz volt meg ki be el"
    ),
    "id": word_set(
        "yang dan di ke dari untuk dengan adalah ini itu pada tidak atau jadi maka setiap kita ada akan dalam "
        "sebagai karena jika dua tiga empat lima kemudian oleh juga jumlah"
    ),
    "ru": word_set(
        "и в не что на с по это как из у за так если то для или мы его её их а но к от до же ли все при значит "
        "тогда поэтому есть он она они два три каждый каждая"
    ),
    "uk": word_set(
        "і й в не що на з зі по це як із у за так якщо то для або ми його її їх а але до від та все при отже тоді "
        "тому є він вона вони два три кожен кожна"
    ),
    "be": word_set("і ў не што на з па гэта як у за так калі то для або мы яго яе іх а але да ад усё тады таму ёсць"),
    "bg": word_set("и в не че на с по това как от за така ако то или ние е са да се а но до при тогава защото всеки"),
    "sr": word_set(
        "и у не да је су на са за што као из од то ако или али ми се а до при тада зато сваки дакле његов имамо i u "
        "ne da je su na sa za što kao iz od to ako ili ali mi se a do pri tada zato svaki dakle imamo gde dve tri "
        "četiri pet"
    ),
    "mk": word_set("и во не дека на со за што како од тоа ако или но ние е се да а до при тогаш затоа секој имаме"),
    "hi": word_set("है हैं के में की से को का और पर यह नहीं कि तो ने था थे हम इस लिए एक हो कर अब अगर या ये वह जो"),
    "ne": word_set(
        "छ छन् र को मा हो का ले लाई यो हुन्छ भने गर्नुहोस् हामी एक पनि त्यसैले अब यदि वा छौं गर्दा बाट छैन "
        "होइन भयो भएको गर्न गर्छ जम्मा गरेर मात्र"
    ),
    "mr": word_set("आहे आहेत आणि च्या या ला मध्ये हे ते नाही की तर आपण एक म्हणून आता जर किंवा त्या होते करून"),
    "ar": word_set("في من على أن إلى هذا هذه لا ما إذا ثم كل عن مع هو هي أو التي الذي إذن كان لدينا و بعد عدد"),
    "fa": word_set("در از به که را است این با برای و هر آن یا می ها هم تا اگر پس یک دو ما شود بود دارد بنابراین"),
    "ur": word_set("ہے ہیں کے میں کی سے کو کا اور پر یہ نہیں کہ تو نے ہم اس ایک ہو اگر یا جو لیے"),
}

# Languages with the relatives that the model takes them for.
_KIN = {
    "no": word_set("da nn"),
    "da": word_set("no nn"),
    "sk": word_set("cs"),
    "cs": word_set("sk"),
    "hr": word_set("sr bs sh"),
    "sr": word_set("hr bs sh mk bg ru"),
    "gl": word_set("pt es ast"),
    "pt": word_set("gl mwl"),
    "es": word_set("ast an gl"),
    "it": word_set("lmo pms vec scn nap"),
    "de": word_set("als bar nds"),
    "nl": word_set("af vls li nds"),
    "fr": word_set("oc wa"),
    "id": word_set("ms"),
    "hi": word_set("bh mai dty"),
    "ne": word_set("hi mr dty"),
    "fa": word_set("azb mzn"),
    "ru": word_set("rue"),
    "uk": word_set("rue"),
}

RELATIVES = {
    relative: frozenset(language for language, kin in _KIN.items() if relative in kin)
    for relative in frozenset().union(*_KIN.values())
}
"""By what the model says: the languages that it may be instead."""

_VARIABLES = frozenset("abcdklnsvyz")


@lru_cache(maxsize=256)
def _index(candidates: frozenset[str]) -> dict[str, tuple[str, ...]]:
    """For each word those of the candidates and their relatives that have it; empty where a candidate has no list."""
    if not candidates <= FUNCTION_WORDS.keys():
        return {}
    relatives = {each for each, languages in RELATIVES.items() if languages & candidates}
    index: dict[str, tuple[str, ...]] = {}
    for language in sorted((candidates | relatives) & FUNCTION_WORDS.keys()):
        for word in FUNCTION_WORDS[language]:
            index[word] = (*index.get(word, ()), language)
    return index


def function_words(text: str, candidates: frozenset[str]) -> dict[str, float]:
    """Count the function words in a text, each once.

    Args:
        text: words in lower case.
        candidates: languages; where the words of one are not listed here, no other has an advantage over it.

    Returns:
        For the candidates and their relatives: how many of their words there are.
    """
    index = _index(candidates)
    hits: dict[str, float] = {}
    if "'" in text or "’" in text:
        text = text.replace("’", " ").replace("'", " ")
    for word in set(text.split()) & index.keys():
        weight = 0.5 if word in _VARIABLES else 1.0
        for language in index[word]:
            hits[language] = hits.get(language, 0.0) + weight
    return hits
