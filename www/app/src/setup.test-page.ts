// What every component finds on the page of the app.

import "./app.css";
