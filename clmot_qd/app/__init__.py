"""The web page: a visitor drops a video, chooses among the operator's models, watches, and takes the tracks away.

Who does what, from the inside out; only :mod:`page` and :mod:`server` know gradio::

    limits.py     how large, how long, how many
    clips.py      an upload -> a source of frames in the job's folder, judged by its content
    uploaded_video.py  the frames of a video, none larger than allowed
    choices.py    trackers that a visitor can choose, and their settings
    models.py     the operator's models, loaded once and lent to one job at a time
    jobs.py       a queue of jobs with progress and cancelling
    tracking.py   one job: clip, model, tracker -> video, table, files
    workspace.py  the one folder that anything is written to
    addresses.py  where to serve, tried beforehand
    guard.py      which requests reach gradio
    page.py       what a visitor sees
    server.py     all of it put together and served
"""
