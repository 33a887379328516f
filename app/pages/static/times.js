// Times are written in UTC for browsers without scripts; here they become the reader's own.
"use strict";

const fullTime = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const hourAndMinute = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const dayAndMonth = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });

function shortTime(moment) {
  return moment.toDateString() === new Date().toDateString() ? hourAndMinute.format(moment) : dayAndMonth.format(moment);
}

function localiseTimes() {
  for (const time of document.querySelectorAll("time")) {
    const moment = new Date(time.dateTime);
    if (Number.isNaN(moment.getTime())) continue;
    time.textContent = "full" in time.dataset ? fullTime.format(moment) : shortTime(moment);
    time.title = fullTime.format(moment);
  }
}

document.addEventListener("letterbox:replaced", localiseTimes);
localiseTimes();
