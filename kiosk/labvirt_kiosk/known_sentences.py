# SPDX-License-Identifier: MIT
"""The English sentences that reach the screen by the status, as templates: what the catalogues translate.

Programs and logs get the English sentence; the face finds its template here and says it in the person's language. A test
compares the lists with the sources that make the sentences.
"""

from __future__ import annotations

OF_THE_CONTROLLER = (  # labvirt/domain/answer.py
    "This terminal is not known yet. Tell your administrator the code {code}.",
    "This terminal is switched off by the administrator.",
    "No computer can be started for this seat: {reason}.",
    "Your computer is being started.",
    "This terminal is not set up completely: {reason}.",
    "Your computer could not be started: {reason}.",
    "All computers are in use. You are in the queue.",
    "Your computer is paused: {reason}.",
    "Your computer does not answer. Please tell the help desk.",
    "Your computer is switched off.",
    "Your computer is being stopped and can start again after that.",
    "the engine",
    "its turn",
    "its end",
)

OF_THE_KIOSK = (  # loop.py
    "Asking {url} what this seat shows",
    "Connecting to {guest}",
    "Connecting to {guest} as last time",
    "Showing {guest}",
    "Showing {guest} (seat {seat})",
    "The kiosk program has ended",
    "The controller gives no connection now ({reason})",
    "The controller {url} does not answer since {since} ({reason})",
    "The controller {url} gives no usable answer since {since} ({reason})",
    "{program} ended after {seconds} s (exit code {code})",
    "{program} ended after {seconds} s (exit code {code}): {line}",
    "it could not connect and showed only a message",  # watch.py
    "it lost its connection and showed only a message",
)

OF_TROUBLE = (  # question.py, installed.py, viewer.py
    "The guest is just being changed, asking again",
    (
        "The controller gives the ticket only to the address it leased to this terminal, "
        "and we ask from another one; restart the terminal or tell your administrator"
    ),
    "The controller does not know this terminal any more",
    "The guest is not ready for a viewer yet",
    "Your administrator does not allow this here",
    "Your computer is just starting or stopping, or cannot be started now",
    "This was done too often; please wait some minutes",
    "This terminal asked for a ticket too often",
    "nothing came within {seconds} s",
    "it did not finish its answer within {seconds} s",
    "what answers there is not a web server of LabVirt; check the address",
    "an answer of more than {size} KiB came; check the controller's address",
    "only a part of the answer came",
    "it says that it cannot answer now (HTTP {status})",
    "it redirects to {target}; redirects are not followed, give the final address instead",
    "it does not accept the question: {answer}",
    "it answers with HTTP {status}; check the controller's address",
    "the controller's {format} file is not text",
    "the controller does not take the heartbeat (HTTP {status})",
    "the controller does not take the time line (HTTP {status})",
    "nobody answers at this address",
    "its name is not known to the DNS",
    "it closed the connection without an answer",
    "connection refused: the machine is there, the controller is not running",
    "The program {name} is not installed on this terminal; tell your administrator",
    "xfreerdp is installed on this terminal, but does not start; tell your administrator",
    "xfreerdp does not tell its version (is there a display?); tell your administrator",
    "The viewer does not start: {reason}; restart the terminal",
    "The controller vouches for this computer with a certificate that this terminal does not know; tell your administrator",
    "{reason}; tell your administrator",  # what the controller itself refuses
)

OF_ANSWERS = (  # answer.py, ticket.py
    "a web page came instead of a LabVirt answer; check the controller's address",
    "what came is not a LabVirt answer; check the controller's address",
    "This seat just got another guest, asking again",
)

OF_NOTICES = (  # labvirt/domain/message.py, usecases/draining.py, usecases/seats.py
    "The lesson ends at {time}: this computer is started afresh then. Please save your work.",
    "The lesson ends at {time}: this computer is switched off then. Please save your work.",
    "Time is up in 5 minutes. Please save your work.",
    "Time is up in 1 minute. Please save your work.",
    "{image} is being updated: this computer is switched off at {time}. Please save your work.",
    "This computer is started afresh at {time} with a newer system. Please save your work.",
)
"""A message of the teacher may follow: face_view.py translates what is before it."""

OF_REASONS = (
    # labvirt/domain/: host.py, living.py, placement.py, plan.py; usecases/asking.py, usecases/draining.py; engine/queue.py
    "its start was interrupted",
    "its machine ended by itself",
    "its machine ended by itself {count} times in a row",
    "there is no profile yet",
    "the profile {profile}: {why}",
    "none of the {count} profiles can be started ({profile}: {why})",
    "its image {image} does not exist",
    "its image {image} is in the recycle bin",
    "its image {image} has no published version",
    "the lab {lab} has computers for the seats 1 to {count} only",
    "{image} is being updated by {who} since {time}",
    "place {place}",
    "place {place}, about {seconds} s",
    "place {place} or before",
    "place {place} or before, at most about {seconds} s",
    "place {place} or before, at most about {minutes} min",
    "place {place}: {why}",
    "place {place} or before: {why}",
    "the host {host} has about {left} MiB of memory left and this guest needs {need} MiB",
    "the host {host} has only {left} MiB of disk left",
    "the host {host} runs its {count} guests",
)

KNOWN = (*OF_THE_CONTROLLER, *OF_THE_KIOSK, *OF_TROUBLE, *OF_ANSWERS, *OF_NOTICES, *OF_REASONS)
