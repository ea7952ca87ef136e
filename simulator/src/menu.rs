//! What the restaurant serves: dishes with their prices, special requests, and who comes first.
//!
//! Read by `payload` and `frame`. It renders nothing.

/// The `messageType` of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meal {
    /// Urgent: breakfast guests are in a hurry.
    Breakfast,
    /// In between.
    Lunch,
    /// Dinner guests have time.
    Dinner,
}

impl Meal {
    /// All of them, in the order of the day.
    pub const ALL: [Self; 3] = [Self::Breakfast, Self::Lunch, Self::Dinner];

    /// The word on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Breakfast => "breakfast",
            Self::Lunch => "lunch",
            Self::Dinner => "dinner",
        }
    }

    /// The priority a restaurant would give it: `table1` is VIP, else breakfast 1, lunch 2, dinner
    /// 3.
    #[must_use]
    pub fn priority(self, destination: &str) -> u8 {
        match self {
            _ if destination == VIP => 1,
            Self::Breakfast => 1,
            Self::Lunch => 2,
            Self::Dinner => 3,
        }
    }

    pub(crate) fn dishes(self) -> &'static [Dish] {
        match self {
            Self::Breakfast => &BREAKFAST,
            Self::Lunch => &LUNCH,
            Self::Dinner => &DINNER,
        }
    }
}

/// The destination whose orders all come first.
const VIP: &str = "table1";

/// One line of the menu.
pub(crate) struct Dish {
    pub(crate) name: &'static str,
    pub(crate) price_cents: u32,
}

const fn dish(name: &'static str, price_cents: u32) -> Dish {
    Dish { name, price_cents }
}

static BREAKFAST: [Dish; 10] = [
    dish("Blueberry pancakes", 950),
    dish("Eggs Benedict", 1190),
    dish("Porridge with honey", 620),
    dish("Croissant", 320),
    dish("Omelette with herbs", 880),
    dish("Bircher muesli", 740),
    dish("Full English", 1450),
    dish("Café au lait", 390),
    dish("Orange juice", 450),
    dish("Pot of Earl Grey", 360),
];

static LUNCH: [Dish; 10] = [
    dish("Tomato soup", 690),
    dish("Caesar salad", 1120),
    dish("Club sandwich", 1290),
    dish("Spaghetti al pomodoro", 1350),
    dish("Fish and chips", 1580),
    dish("Falafel bowl", 1240),
    dish("Quiche Lorraine", 1080),
    dish("Lentil curry", 1190),
    dish("Mineral water", 340),
    dish("Lemonade", 420),
];

static DINNER: [Dish; 10] = [
    dish("Onion soup", 890),
    dish("Rib-eye steak", 3450),
    dish("Grilled sea bream", 2890),
    dish("Mushroom risotto", 1950),
    dish("Duck breast with cherries", 2980),
    dish("Gnocchi with sage", 1790),
    dish("Green salad", 750),
    dish("Crème brûlée", 820),
    dish("Glass of Pinot Noir", 980),
    dish("Espresso", 290),
];

/// What guests ask for now and then. ASCII: fillers cut it at any byte.
pub(crate) static REQUESTS: [&str; 10] = [
    "no onions, please",
    "allergic to nuts",
    "sauce on the side",
    "well done",
    "gluten free",
    "two extra plates for the children",
    "no ice",
    "a candle on the dessert, it is a birthday",
    "extra crispy",
    "serve all courses together",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_on_the_menu_needs_escaping_in_json() {
        let names = Meal::ALL
            .iter()
            .flat_map(|meal| meal.dishes())
            .map(|dish| dish.name);
        for text in names.chain(REQUESTS) {
            assert!(
                !text.contains(['"', '\\']) && !text.contains(char::is_control),
                "{text}"
            );
        }
        assert!(REQUESTS.iter().all(|request| request.is_ascii()));
    }

    #[test]
    fn the_vip_table_comes_first_and_breakfast_is_urgent() {
        let of = |destination| Meal::ALL.map(|meal| meal.priority(destination));
        assert_eq!(of("table1"), [1, 1, 1]);
        assert_eq!(of("table2"), [1, 2, 3]);
    }
}
