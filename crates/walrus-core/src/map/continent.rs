//! Country to continent, for databases that know only countries.
//!
//! The ISO 3166-1 countries (and XK, Kosovo) by the continents that GeoNames and the GeoLite2
//! databases give them: Cyprus and Russia in EU, Turkey and Georgia in AS, Greenland and the
//! Caribbean in NA, East Timor in OC.

/// The continents with their countries.
const COUNTRIES: [(&str, &str); 7] = [
    (
        "AF",
        "AO BF BI BJ BW CD CF CG CI CM CV DJ DZ EG EH ER ET GA GH GM GN GQ GW KE KM LR LS LY MA MG \
         ML MR MU MW MZ NA NE NG RE RW SC SD SH SL SN SO SS ST SZ TD TG TN TZ UG YT ZA ZM ZW",
    ),
    ("AN", "AQ BV GS HM TF"),
    (
        "AS",
        "AE AF AM AZ BD BH BN BT CC CN GE HK ID IL IN IO IQ IR JO JP KG KH KP KR KW KZ LA LB LK MM \
         MN MO MV MY NP OM PH PK PS QA SA SG SY TH TJ TM TR TW UZ VN YE",
    ),
    (
        "EU",
        "AD AL AT AX BA BE BG BY CH CY CZ DE DK EE ES FI FO FR GB GG GI GR HR HU IE IM IS IT JE LI \
         LT LU LV MC MD ME MK MT NL NO PL PT RO RS RU SE SI SJ SK SM UA VA XK",
    ),
    (
        "NA",
        "AG AI AW BB BL BM BQ BS BZ CA CR CU CW DM DO GD GL GP GT HN HT JM KN KY LC MF MQ MS MX NI \
         PA PM PR SV SX TC TT US VC VG VI",
    ),
    ("OC", "AS AU CK CX FJ FM GU KI MH MP NC NF NR NU NZ PF PG PN PW SB TK TL TO TV UM VU WF WS"),
    ("SA", "AR BO BR CL CO EC FK GF GY PE PY SR UY VE"),
];

/// The continent of an upper-case ISO 3166 country, if it is one.
pub(super) fn continent_of(country: &str) -> Option<&'static str> {
    COUNTRIES
        .iter()
        .find(|(_, countries)| countries.split(' ').any(|listed| listed == country))
        .map(|(continent, _)| *continent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_country_has_one_continent() {
        let mut all: Vec<&str> =
            COUNTRIES.iter().flat_map(|(_, countries)| countries.split(' ')).collect();
        assert!(all.iter().all(|code| code.len() == 2));
        let listed = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), listed, "a country is listed twice");
        assert_eq!(listed, 250, "249 of ISO 3166-1 and XK");
    }

    #[test]
    fn continents() {
        for (country, continent) in
            [("DE", "EU"), ("NA", "AF"), ("AS", "OC"), ("AF", "AS"), ("SA", "AS"), ("US", "NA")]
        {
            assert_eq!(continent_of(country), Some(continent), "{country}");
        }
        assert_eq!(continent_of("ZZ"), None);
        assert_eq!(continent_of("de"), None);
        assert_eq!(continent_of(""), None);
    }
}
